/* SPDX-License-Identifier: ISC */
/* fife.conf: numbers with units, domain names and addresses. */
#include "common/conf/conf_int.h"

#include <string.h>

static const struct {
	const char *unit;
	uint64_t factor;
} sizes[] = {
	{ "t", 1ull << 40 },
	{ "g", 1ull << 30 },
	{ "m", 1ull << 20 },
	{ "k", 1ull << 10 },
	{ "", 1 },
};

static const struct {
	const char *unit;
	uint64_t factor;
} times[] = {
	{ "d", 86400000 },
	{ "h", 3600000 },
	{ "m", 60000 },
	{ "s", 1000 },
	{ "ms", 1 },
};

#define N(a) (sizeof(a) / sizeof((a)[0]))

/* Digits at *s, at least one; *s ends up behind them. */
static int
digits(const char **s, uint64_t *value)
{
	uint64_t v = 0;

	if (**s < '0' || **s > '9')
		return -1;
	for (; **s >= '0' && **s <= '9'; (*s)++) {
		if (__builtin_mul_overflow(v, (uint64_t)10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(**s - '0'), &v))
			return -1;
	}
	*value = v;
	return 0;
}

int
conf_unit_number(const char *s, uint64_t *value)
{
	return digits(&s, value) == -1 || *s != '\0' ? -1 : 0;
}

int
conf_unit_size(const char *s, uint64_t *value)
{
	if (digits(&s, value) == -1)
		return -1;
	for (size_t i = 0; i < N(sizes); i++)
		if (strcasecmp(s, sizes[i].unit) == 0)
			return __builtin_mul_overflow(*value, sizes[i].factor, value) ? -1
										      : 0;
	return -1;
}

int
conf_unit_ms(const char *s, uint64_t *value)
{
	if (digits(&s, value) == -1)
		return -1;
	if (*s == '\0') /* 0 needs no unit, anything else does */
		return *value == 0 ? 0 : -1;
	for (size_t i = 0; i < N(times); i++)
		if (strcmp(s, times[i].unit) == 0)
			return __builtin_mul_overflow(*value, times[i].factor, value) ? -1
										      : 0;
	return -1;
}

void
conf_unit_print_size(uint64_t value, char *buf, size_t cap)
{
	size_t i = 0;

	while (i < N(sizes) - 1 && (value == 0 || value % sizes[i].factor != 0))
		i++;
	snprintf(buf, cap, "%llu%s", (unsigned long long)(value / sizes[i].factor),
	    sizes[i].unit);
}

void
conf_unit_print_ms(uint64_t value, char *buf, size_t cap)
{
	size_t i = 0;

	if (value == 0) {
		snprintf(buf, cap, "0s");
		return;
	}
	while (i < N(times) - 1 && value % times[i].factor != 0)
		i++;
	snprintf(buf, cap, "%llu%s", (unsigned long long)(value / times[i].factor),
	    times[i].unit);
}

/* Letters, digits, hyphens and UTF-8 in labels of 1 to 63 octets. */
int
conf_is_host(const char *s)
{
	size_t label = 0, len = strlen(s);

	if (len == 0 || len > 253)
		return 0;
	for (; *s != '\0'; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '.') {
			if (label == 0 || s[-1] == '-')
				return 0;
			label = 0;
			continue;
		}
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			(c >= '0' && c <= '9') || c == '_' || c >= 0x80 ||
			(c == '-' && label > 0)) ||
		    ++label > 63)
			return 0;
	}
	return label > 0 && s[-1] != '-';
}

int
conf_is_mail(const char *s)
{
	const char *at = strrchr(s, '@');

	if (at == NULL || at == s || at - s > 64)
		return 0;
	for (const char *p = s; p < at; p++)
		if ((unsigned char)*p <= ' ' || *p == 0x7f ||
		    strchr("<>()[],;:\\\"@", *p) != NULL)
			return 0;
	return conf_is_host(at + 1);
}
