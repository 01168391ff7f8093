-- The database of "Cache a film database": films with their actors and categories, and customers.

create table film (
  film_id integer primary key,
  title text not null,
  release_year integer not null,
  rental_rate numeric(4, 2) not null
);

create table actor (
  actor_id integer primary key,
  first_name text not null,
  last_name text not null
);

create table film_actor (
  actor_id integer not null references actor,
  film_id integer not null references film,
  primary key (actor_id, film_id)
);

create table category (
  category_id integer primary key,
  name text not null
);

create table film_category (
  film_id integer not null references film,
  category_id integer not null references category,
  primary key (film_id, category_id)
);

create table customer (
  customer_id integer primary key,
  first_name text not null,
  last_name text not null,
  active boolean not null default true
);

insert into film values
  (1, 'The Long Night', 2006, 0.99), (2, 'Harbour Lights', 2006, 4.99), (3, 'A Quiet Winter', 2009, 2.99);
insert into actor values (1, 'Ida', 'Marsh'), (2, 'Tom', 'Okoro'), (3, 'Lena', 'Frost');
insert into film_actor values (1, 1), (1, 2), (2, 1), (3, 3);
insert into category values (1, 'Drama'), (2, 'Family');
insert into film_category values (1, 1), (2, 2), (3, 1);
insert into customer values (1, 'Mary', 'Stone'), (2, 'Paul', 'Reyes');
