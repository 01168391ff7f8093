-- Creates cache_user, the role that owns the cache, in a new database. This is not a migration: docker-compose.yml and
-- k8s/overlays/dev pass it to the postgres image, which runs it with psql as the superuser. The image's own role owns
-- nothing of the cache, so no function of the cache runs with a superuser's rights.

\getenv password CACHE_USER_PASSWORD

create role cache_user login nosuperuser nocreatedb nocreaterole noreplication nobypassrls password :'password';

select format('alter database %I owner to cache_user', current_database()) \gexec

-- Only the owner of the database may create objects in `public`.
revoke create on schema public from public;
