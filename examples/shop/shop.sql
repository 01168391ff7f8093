-- The shop computes the list of products itself, and stores it in the group "products". Each statement that changes the
-- table invalidates this group in its own transaction, whoever runs it.

create or replace function products_changed() returns trigger language plpgsql as $$
begin
  perform cache_invalidate_group('products');
  return null;
end
$$;

create or replace trigger products_changed
  after insert or update or delete or truncate on products
  for each statement execute function products_changed();
