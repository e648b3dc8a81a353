/* SPDX-License-Identifier: ISC */
/* How often somebody was answered; see often.h. */
#include "listd/often.h"

#include <stddef.h>
#include <stdlib.h>

#include "common/compat/compat.h"
#include "common/proto/encoding.h"

#define SETS 2048
#define WAYS 4
#define DAY_MS UINT64_C(86400000)

static struct answered {
	uint64_t hash; /* 0: free */
	uint64_t since_ms;
	unsigned int n;
} table[SETS][WAYS];
static uint64_t seed;

/* The seed keeps strangers from choosing whom they drive out. */
static uint64_t
hash_of(const char *address)
{
	uint64_t h;

	while (seed == 0)
		arc4random_buf(&seed, sizeof(seed));
	for (h = seed; *address != '\0'; address++) {
		h = (h ^ (unsigned char)ascii_lower(*address)) * 1099511628211u;
		h ^= h >> 29;
	}
	return h != 0 ? h : 1;
}

int
often_answered(const char *address, uint64_t now_ms)
{
	uint64_t h = hash_of(address);
	struct answered *set = table[h % SETS], *a = &set[0];

	for (size_t i = 0; i < WAYS; i++) {
		if (set[i].hash == h) {
			a = &set[i];
			break;
		}
		if (set[i].hash == 0 || set[i].since_ms < a->since_ms)
			a = &set[i];
	}
	if (a->hash != h || now_ms - a->since_ms >= DAY_MS)
		*a = (struct answered){ .hash = h, .since_ms = now_ms };
	if (a->n >= OFTEN_A_DAY)
		return 1;
	a->n++;
	return 0;
}
