/* SPDX-License-Identifier: ISC */
/*
 * Lines of the log files: taking apart, cleaning, comparing. What is in them
 * came from other processes, which may have been taken over, so nothing here
 * believes in any form.
 */
#include "logd/line.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "logd/words.h"

#define DAY_MAX 2932896 /* 9999-12-31 */

/* Days from 1970 of a date in the Gregorian calendar, and back. */
static int32_t
days_from_date(int y, int m, int d)
{
	int era, yoe, doy, doe;

	y -= m <= 2;
	era = y / 400;
	yoe = y - era * 400;
	doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
	return era * 146097 + doe - 719468;
}

static void
date_from_days(int32_t day, int *y, int *m, int *d)
{
	int z = day + 719468, era = z / 146097, doe = z - era * 146097;
	int yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;

	*d = doy - (153 * mp + 2) / 5 + 1;
	*m = mp < 10 ? mp + 3 : mp - 9;
	*y = yoe + era * 400 + (*m <= 2);
}

/* n digits, or -1. */
static int
digits(const char *p, int n)
{
	int v = 0;

	for (int i = 0; i < n; i++) {
		if (p[i] < '0' || p[i] > '9')
			return -1;
		v = v * 10 + (p[i] - '0');
	}
	return v;
}

int
day_parse(const char *p, size_t len, int32_t *day)
{
	int y, m, d, y2, m2, d2;

	if (len != 10 || p[4] != '-' || p[7] != '-')
		return -1;
	y = digits(p, 4);
	m = digits(p + 5, 2);
	d = digits(p + 8, 2);
	if (y < 1970 || m < 1 || m > 12 || d < 1 || d > 31)
		return -1;
	*day = days_from_date(y, m, d);
	date_from_days(*day, &y2, &m2, &d2);
	return y == y2 && m == m2 && d == d2 ? 0 : -1;
}

void
day_format(char buf[11], int32_t day)
{
	int y, m, d;

	if (day < 0)
		day = 0;
	if (day > DAY_MAX)
		day = DAY_MAX;
	date_from_days(day, &y, &m, &d);
	snprintf(buf, 11, "%04u-%02u-%02u", (unsigned int)y % 10000,
	    (unsigned int)m % 100, (unsigned int)d % 100);
}

void
line_stamp(char buf[LINE_STAMP_LEN + 1], int64_t time_us)
{
	char day[11];
	unsigned int s, us;

	if (time_us < 0)
		time_us = 0;
	if (time_us / 1000000 / 86400 > DAY_MAX)
		time_us = (int64_t)DAY_MAX * 86400 * 1000000;
	day_format(day, (int32_t)(time_us / 1000000 / 86400));
	s = (unsigned int)(time_us / 1000000 % 86400);
	us = (unsigned int)(time_us % 1000000);
	snprintf(buf, LINE_STAMP_LEN + 1, "%sT%02u:%02u:%02u.%06uZ", day, s / 3600 % 24,
	    s / 60 % 60, s % 60, us % 1000000);
}

static int
parse_stamp(const char *p, int64_t *time_us)
{
	int32_t day;
	int h, m, s, us;

	if (day_parse(p, 10, &day) == -1 || p[10] != 'T' || p[13] != ':' ||
	    p[16] != ':' || p[19] != '.' || p[26] != 'Z')
		return -1;
	h = digits(p + 11, 2);
	m = digits(p + 14, 2);
	s = digits(p + 17, 2);
	us = digits(p + 20, 6);
	if (h < 0 || h > 23 || m < 0 || m > 59 || s < 0 || s > 60 || us < 0)
		return -1;
	*time_us = ((int64_t)day * 86400 + h * 3600 + m * 60 + s) * 1000000 + us;
	return 0;
}

static int
key_octet(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
}

/* Length of the key at the start of p when key= stands there, else 0. */
static size_t
key_len(const char *p, size_t len)
{
	size_t n = 0;

	while (n < len && key_octet((unsigned char)p[n]))
		n++;
	return n > 0 && n < len && p[n] == '=' ? n : 0;
}

/* The first word is an event when it stands alone or a value follows. */
static size_t
event_len(const char *p, size_t len)
{
	size_t n = 0;

	while (n < len && key_octet((unsigned char)p[n]))
		n++;
	if (n == 0 || n == len)
		return n;
	return p[n] == ' ' && key_len(p + n + 1, len - n - 1) > 0 ? n : 0;
}

int
line_parse(const char *buf, size_t len, struct line *l)
{
	size_t i = LINE_STAMP_LEN + 1, digits_seen = 0;
	uint32_t pid = 0;

	memset(l, 0, sizeof(*l));
	if (len < i || buf[LINE_STAMP_LEN] != ' ' || parse_stamp(buf, &l->time_us) == -1)
		return -1;
	l->name = buf + i;
	while (i < len && buf[i] != '[' && buf[i] != ' ')
		i++;
	l->name_len = (size_t)(buf + i - l->name);
	if (l->name_len == 0 || i == len || buf[i] != '[')
		return -1;
	for (i++; i < len && buf[i] >= '0' && buf[i] <= '9' && digits_seen < 9;
	     i++, digits_seen++)
		pid = pid * 10 + (uint32_t)(buf[i] - '0');
	if (digits_seen == 0 || len - i < 2 || buf[i] != ']' || buf[i + 1] != ' ')
		return -1;
	i += 2;
	l->pid = pid;
	l->text = buf + i;
	l->text_len = len - i;
	l->event = l->text;
	l->event_len = event_len(l->text, l->text_len);
	return 0;
}

int
line_kv_next(const struct line *l, size_t *pos, struct line_kv *kv)
{
	const char *p = l->text;
	size_t i = *pos, len = l->text_len;

	if (l->event_len == 0)
		return 0;
	if (i < l->event_len)
		i = l->event_len;
	while (i < len && p[i] == ' ')
		i++;
	kv->key = p + i;
	kv->key_len = key_len(p + i, len - i);
	if (kv->key_len == 0)
		return 0;
	i += kv->key_len + 1;
	if (i < len && p[i] == '"') {
		kv->val = p + ++i;
		while (i < len && p[i] != '"')
			i += p[i] == '\\' && i + 1 < len ? 2 : 1;
		kv->val_len = (size_t)(p + i - kv->val);
		if (i < len) /* the closing quote of a line that was cut is missing */
			i++;
	} else {
		kv->val = p + i;
		while (i < len && p[i] != ' ')
			i++;
		kv->val_len = (size_t)(p + i - kv->val);
	}
	*pos = i;
	return 1;
}

int
line_get(const struct line *l, const char *key, struct line_kv *kv)
{
	size_t pos = 0, len = strlen(key);

	while (line_kv_next(l, &pos, kv))
		if (kv->key_len == len && memcmp(kv->key, key, len) == 0)
			return 1;
	return 0;
}

size_t
line_value(const struct line_kv *kv, char *buf, size_t cap)
{
	size_t n = 0;

	for (size_t i = 0; i < kv->val_len && n + 1 < cap; i++) {
		if (kv->val[i] == '\\' && i + 1 < kv->val_len &&
		    (kv->val[i + 1] == '"' || kv->val[i + 1] == '\\'))
			i++;
		buf[n++] = kv->val[i];
	}
	buf[n] = '\0';
	return n;
}

static int
bounded(const char *text, size_t len, size_t at, size_t n)
{
	unsigned char c;

	if (at > 0) {
		c = (unsigned char)text[at - 1];
		if (words_octet(c) || c == '.')
			return 0;
	}
	if (at + n == len)
		return 1;
	c = (unsigned char)text[at + n];
	if (c == '.') /* the end of a sentence, or of one more label */
		return at + n + 1 == len || !words_octet((unsigned char)text[at + n + 1]);
	return !words_octet(c);
}

int
line_mentions(const struct line *l, const char *word)
{
	size_t n = strlen(word);
	char lower, upper;

	if (n == 0 || n > l->text_len)
		return 0;
	lower = word[0] >= 'A' && word[0] <= 'Z' ? (char)(word[0] + 32) : word[0];
	upper = lower >= 'a' && lower <= 'z' ? (char)(lower - 32) : lower;
	for (size_t i = 0; i + n <= l->text_len; i++)
		if ((l->text[i] == lower || l->text[i] == upper) &&
		    strncasecmp(l->text + i, word, n) == 0 &&
		    bounded(l->text, l->text_len, i, n))
			return 1;
	return 0;
}

/* Octets of the well-formed UTF-8 character at p that may be shown; 0: none. */
static size_t
shown_len(const unsigned char *p)
{
	size_t n;
	uint32_t c;

	if (p[0] < 0x80)
		return p[0] >= 0x20 && p[0] != 0x7f;
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		n = 2, c = p[0] & 0x1f;
	else if (p[0] >= 0xe0 && p[0] <= 0xef)
		n = 3, c = p[0] & 0x0f;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		n = 4, c = p[0] & 0x07;
	else
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80) /* the NUL at the end as well */
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if ((n == 3 && c < 0x800) || (n == 4 && (c < 0x10000 || c > 0x10ffff)) ||
	    (c >= 0xd800 && c <= 0xdfff))
		return 0;
	/* C1 controls; line and paragraph separators; what turns the direction */
	if (c < 0xa0 || c == 0x2028 || c == 0x2029 || (c >= 0x202a && c <= 0x202e) ||
	    (c >= 0x2066 && c <= 0x2069) || c == 0x200e || c == 0x200f)
		return 0;
	return n;
}

size_t
line_clean(char *buf, size_t cap, const char *src)
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *p = (const unsigned char *)src;
	size_t n = 0, k;

	while (*p != '\0') {
		k = shown_len(p);
		if (n + (k == 0 ? 4 : k) >= cap)
			break;
		if (k == 0) {
			buf[n++] = '\\';
			buf[n++] = 'x';
			buf[n++] = hex[*p >> 4];
			buf[n++] = hex[*p++ & 15];
			continue;
		}
		memcpy(buf + n, p, k);
		n += k;
		p += k;
	}
	buf[n] = '\0';
	return n;
}
