/** Tables of films and actors, and a page of a film as a bound query. */

export const filmTables = `
  create table film (film_id int primary key, title text not null);
  create table actor (actor_id int primary key, name text not null);
  create table film_actor (film_id int, actor_id int, primary key (film_id, actor_id));
  insert into film select n, 'Film ' || n from generate_series(1, 9) n;
  insert into actor select n, 'Actor ' || n from generate_series(1, 20) n;
  insert into film_actor values (1, 17), (2, 17), (2, 18);
`

export const filmPage = `select title, array(
    select name from film_actor join actor using (actor_id) where film_actor.film_id = film.film_id order by actor_id
  ) as actors
  from film where film_id = $1`

export const filmPageDepends = {
  'public.film': '{film_id}',
  'public.film_actor': '{film_id}',
  'public.actor': 'select film_id from film_actor where actor_id = {actor_id}',
}

/** Returns a call of cache_bind_query(). */
export function bindingQuery(key: string, query: string, depends: object, more = ''): string {
  return `select cache_bind_query('${key}', $query$${query}$query$, $depends$${JSON.stringify(depends)}$depends$${more})`
}

export const bindFilmPage = bindingQuery('film_page:{id}', filmPage, filmPageDepends)
