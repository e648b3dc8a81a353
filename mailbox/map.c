/* SPDX-License-Identifier: ISC */
/* A hash from numbers to owned octets: what is new since the last checkpoint. */
#include "mailbox/store_int.h"

static size_t
slot_of(const struct map *m, uint64_t key)
{
	key *= UINT64_C(0x9e3779b97f4a7c15);
	return (size_t)(key >> 20) & (m->cap - 1);
}

static struct map_slot *
find(const struct map *m, uint64_t key)
{
	size_t i = slot_of(m, key);

	while (m->slots[i].key != 0 && m->slots[i].key != key)
		i = (i + 1) & (m->cap - 1);
	return &m->slots[i];
}

static int
grow(struct map *m)
{
	struct map bigger = { 0 };
	size_t live = 0;

	for (size_t i = 0; i < m->cap; i++)
		live += m->slots[i].value != NULL;
	bigger.cap = 16;
	while (bigger.cap < live * 3)
		bigger.cap *= 2;
	if ((bigger.slots = calloc(bigger.cap, sizeof(*bigger.slots))) == NULL)
		return -1;
	for (size_t i = 0; i < m->cap; i++)
		if (m->slots[i].value != NULL)
			*find(&bigger, m->slots[i].key) = m->slots[i];
	bigger.n = live;
	free(m->slots);
	*m = bigger;
	return 0;
}

int
map_put(struct map *m, uint64_t key, void *value, size_t len)
{
	struct map_slot *s;

	if ((m->n + 1) * 2 > m->cap && grow(m) == -1) {
		free(value);
		return -1;
	}
	s = find(m, key);
	if (s->key == 0) {
		s->key = key;
		m->n++;
	}
	free(s->value);
	s->value = value;
	s->len = len;
	return 0;
}

struct map_slot *
map_get(const struct map *m, uint64_t key)
{
	struct map_slot *s;

	if (m->cap == 0)
		return NULL;
	s = find(m, key);
	return s->value == NULL ? NULL : s;
}

void
map_remove(struct map *m, uint64_t key)
{
	struct map_slot *s = map_get(m, key);

	if (s == NULL)
		return;
	free(s->value);
	s->value = NULL;
	s->len = 0;
}

void
map_clear(struct map *m)
{
	for (size_t i = 0; i < m->cap; i++)
		free(m->slots[i].value);
	free(m->slots);
	memset(m, 0, sizeof(*m));
}
