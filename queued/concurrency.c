/* SPDX-License-Identifier: ISC */
/* How many jobs at a time; see concurrency.h. */
#include "queued/concurrency.h"

#include <string.h>

void
concurrency_init(struct concurrency *c)
{
	memset(c, 0, sizeof(*c));
	c->window = CONCURRENCY_FIRST;
}

uint32_t
concurrency_limit(const struct concurrency *c, uint32_t ceiling)
{
	return c->window < ceiling ? c->window : ceiling > 0 ? ceiling : 1;
}

static void
grow(struct concurrency *c, uint32_t ceiling)
{
	if (c->window >= ceiling || c->window == UINT16_MAX)
		return;
	if (c->threshold != 0 && c->window >= c->threshold) {
		if (++c->credit < c->window)
			return;
		c->credit = 0;
	}
	c->window++;
}

void
concurrency_end(struct concurrency *c, enum concurrency_end end, uint8_t epoch, int full,
    uint32_t ceiling)
{
	if (end == CONCURRENCY_GOOD && full)
		grow(c, ceiling);
	if (end != CONCURRENCY_PRESSED || epoch != c->epoch)
		return;
	c->window = (uint16_t)concurrency_limit(c, ceiling) / 2;
	if (c->window == 0)
		c->window = 1;
	c->threshold = c->window;
	c->credit = 0;
	c->epoch = (c->epoch + 1) % CONCURRENCY_EPOCHS;
}
