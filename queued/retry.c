/*
 * The retry schedule as people write it.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "queued/retry.h"

#define STEP_MAX (31U * 86400)

/* One duration at *s, which moves behind it. */
static uint32_t
duration(const char **s)
{
	const char *p = *s;
	uint64_t v = 0;
	uint32_t unit = 1;

	if (*p < '0' || *p > '9')
		return UINT32_MAX;
	for (; *p >= '0' && *p <= '9'; p++) {
		v = v * 10 + (uint64_t)(*p - '0');
		if (v > UINT32_MAX / 2)
			return UINT32_MAX;
	}
	switch (*p) {
	case 'd':
		unit = 86400;
		break;
	case 'h':
		unit = 3600;
		break;
	case 'm':
		unit = 60;
		break;
	case 's':
		break;
	default:
		p--;
	}
	p++;
	if (v > UINT32_MAX / 2 / unit)
		return UINT32_MAX;
	*s = p;
	return (uint32_t)v * unit;
}

uint32_t
retry_duration(const char *s)
{
	uint32_t v = duration(&s);

	return *s == '\0' ? v : UINT32_MAX;
}

int
retry_parse(const char *s, struct retry *out)
{
	memset(out, 0, sizeof(*out));
	for (;;) {
		uint32_t v;

		s += strspn(s, " \t,");
		if (*s == '\0')
			break;
		v = duration(&s);
		if (v == 0 || v > STEP_MAX || out->nsteps == RETRY_STEPS_MAX ||
		    (*s != '\0' && strchr(" \t,", *s) == NULL))
			return -1;
		out->step_s[out->nsteps++] = v;
	}
	return out->nsteps > 0 ? 0 : -1;
}

uint32_t
retry_delay(const struct retry *r, unsigned int attempts)
{
	size_t i = attempts > 0 ? attempts - 1 : 0;

	if (r->nsteps == 0)
		return 900;
	return r->step_s[i < r->nsteps ? i : r->nsteps - 1];
}

uint32_t
retry_delay_spread(const struct retry *r, unsigned int attempts, uint32_t seed)
{
	uint32_t d = retry_delay(r, attempts);

	return d + (d >= 60 ? (seed * 2654435761U >> 8) % (d / 10 + 1) : 0);
}
