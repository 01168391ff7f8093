-- Tables with data that are bound to keys, for "npm run dev -- --sample". This is not a migration. Running it again
-- changes nothing.

create table if not exists products (
  id integer primary key,
  name text not null,
  price numeric(10, 2) not null
);

create table if not exists reviews (
  id integer primary key,
  product_id integer not null references products,
  stars smallint not null check (stars between 1 and 5),
  body text not null
);

insert into products (id, name, price) values
  (1, 'Espresso cup', 9.50),
  (2, 'Coffee grinder', 89.00),
  (3, 'Milk jug', 18.90)
on conflict do nothing;

insert into reviews (id, product_id, stars, body) values
  (1, 1, 5, 'Keeps the coffee warm.'),
  (2, 1, 3, 'Smaller than I thought.'),
  (3, 2, 4, 'Loud, but even.'),
  (4, 3, 5, 'Pours well.')
on conflict do nothing;

select cache_bind(tables.name::regclass, key => tables.pattern)
from (values ('products', 'product:{id}'), ('reviews', 'review:{id}')) as tables (name, pattern)
where not exists (select from cache_bound_tables where cache_bound_tables.pattern = tables.pattern);

select cache_bind_query(
  'product_page:{id}',
  query => '
    select name, price, array(
      select row_to_json(review) from (
        select stars, body from reviews where product_id = products.id order by id
      ) as review
    ) as reviews
    from products where id = $1',
  depends => '{"public.products": "{id}", "public.reviews": "{product_id}"}'
)
where not exists (select from cache_bound_queries where pattern = 'product_page:{id}');
