/* SPDX-License-Identifier: ISC */
/*
 * Dates.  The tolerant reader sorts words and numbers by what they can only be, so the
 * order matters little; the writers use the proleptic Gregorian calendar and no locale.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/proto/date.h"
#include "common/proto/encoding.h"

#define DATE_TEXT_MAX 512 /* of a field that is looked at */

static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul",
	"Aug", "Sep", "Oct", "Nov", "Dec" };
static const char days[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };

/* Days from civil, after Howard Hinnant. */
int64_t
date_to_days(int year, int month, int day)
{
	int64_t y = year - (month <= 2), era = (y >= 0 ? y : y - 399) / 400,
		yoe = y - era * 400;
	int64_t doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

void
date_from_time(int64_t t, int zone_min, struct date *out)
{
	int64_t local, z, era, doe, yoe, doy, mp, secs;

	/* Within what int can hold as a year, whatever a file says. */
	if (t > INT64_C(60000000000000000))
		t = INT64_C(60000000000000000);
	if (t < -INT64_C(60000000000000000))
		t = -INT64_C(60000000000000000);
	local = t + (int64_t)zone_min * 60;
	z = local / 86400;
	secs = local % 86400;
	if (secs < 0) {
		secs += 86400;
		z--;
	}
	z += 719468;
	era = (z >= 0 ? z : z - 146096) / 146097;
	doe = z - era * 146097;
	yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	mp = (5 * doy + 2) / 153;
	out->time = t;
	out->zone_min = zone_min;
	out->day = (int)(doy - (153 * mp + 2) / 5 + 1);
	out->month = (int)(mp < 10 ? mp + 3 : mp - 9);
	out->year = (int)(yoe + era * 400 + (out->month <= 2));
	out->hour = (int)(secs / 3600);
	out->minute = (int)(secs / 60 % 60);
	out->second = (int)(secs % 60);
}

int
date_local_zone(int64_t t)
{
	time_t tt = (time_t)t;
	struct tm tm;

	return localtime_r(&tt, &tm) == NULL ? 0 : (int)(tm.tm_gmtoff / 60);
}

/* Checks the members and computes time. */
static int
finish(struct date *d)
{
	static const char lengths[12] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30,
		31 };
	bool leap = d->year % 4 == 0 && (d->year % 100 != 0 || d->year % 400 == 0);

	if (d->year < 0 || d->year > 9999 || d->month < 1 || d->month > 12 ||
	    d->day < 1 || d->day > lengths[d->month - 1] ||
	    (d->month == 2 && d->day == 29 && !leap) || d->hour < 0 || d->hour > 23 ||
	    d->minute < 0 || d->minute > 59 || d->second < 0 || d->second > 60 ||
	    d->zone_min < -5999 || d->zone_min > 5999)
		return -1;
	d->time = date_to_days(d->year, d->month, d->day) * 86400 + d->hour * 3600 +
		  d->minute * 60 + d->second - (int64_t)d->zone_min * 60;
	return 0;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_alpha(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* At most max digits, at least one; more is an error. */
static int
number(const char *s, size_t len, size_t *pos, size_t max, size_t *digits)
{
	int v = 0;
	size_t n = 0;

	while (*pos < len && is_digit(s[*pos])) {
		if (++n > max)
			return -1;
		v = v * 10 + (s[(*pos)++] - '0');
	}
	if (digits != NULL)
		*digits = n;
	return n == 0 ? -1 : v;
}

static int
month_by_name(const char *s)
{
	for (int i = 0; i < 12; i++) {
		if (ascii_equal(s, 3, months[i]))
			return i + 1;
	}
	return 0;
}

static int
zone_by_name(const char *s, size_t len)
{
	static const struct {
		const char *name;
		int hours;
	} zones[] = { { "EST", -5 }, { "EDT", -4 }, { "CST", -6 }, { "CDT", -5 },
		{ "MST", -7 }, { "MDT", -6 }, { "PST", -8 }, { "PDT", -7 } };

	for (size_t i = 0; i < sizeof(zones) / sizeof(zones[0]); i++) {
		if (ascii_equal(s, len, zones[i].name))
			return zones[i].hours * 60;
	}
	/* GMT, UT, and all that RFC 5322, 4.3 tells to take as -0000. */
	return 0;
}

struct reader {
	const char *s;
	size_t len, pos;
	bool have_day, have_year, have_time, have_zone;
	struct date d;
};

static void
skip_comment(struct reader *r)
{
	unsigned int depth = 0;

	for (; r->pos < r->len; r->pos++) {
		char c = r->s[r->pos];

		if (c == '\\')
			r->pos++;
		else if (c == '(')
			depth++;
		else if (c == ')' && --depth == 0) {
			r->pos++;
			return;
		}
	}
	r->pos = r->len;
}

static void
read_word(struct reader *r)
{
	const char *w = r->s + r->pos;
	size_t start = r->pos, n;
	int month;

	while (r->pos < r->len && is_alpha(r->s[r->pos]))
		r->pos++;
	n = r->pos - start;
	if (n >= 3 && r->d.month == 0 && (month = month_by_name(w)) != 0) {
		r->d.month = month;
		return;
	}
	if (n == 2 && r->have_time &&
	    (ascii_equal(w, 2, "AM") || ascii_equal(w, 2, "PM"))) {
		if (r->d.hour <= 12)
			r->d.hour = r->d.hour % 12 +
				    (ascii_lower((unsigned char)w[0]) == 'p' ? 12 : 0);
		return;
	}
	/* A day's name comes before all numbers; after the time it is a zone. */
	if (r->have_time && !r->have_zone) {
		r->d.zone_min = zone_by_name(w, n);
		r->have_zone = true;
	}
}

static int
read_zone(struct reader *r, int sign)
{
	size_t digits;
	int v = number(r->s, r->len, &r->pos, 4, &digits);

	if (v == -1)
		return -1;
	if (digits == 2 && r->pos < r->len && r->s[r->pos] == ':') {
		int min;

		r->pos++;
		if ((min = number(r->s, r->len, &r->pos, 2, NULL)) == -1)
			return -1;
		v = v * 100 + min;
	} else if (digits <= 2)
		v *= 100;
	/* "GMT+0100": the number wins. */
	r->d.zone_min = sign * (v / 100 * 60 + v % 100);
	r->have_zone = true;
	return 0;
}

static int
read_number(struct reader *r)
{
	size_t digits, start = r->pos;
	int v = number(r->s, r->len, &r->pos, 4, &digits);

	if (v == -1)
		return -1;
	if (!r->have_time && r->pos < r->len && r->s[r->pos] == ':') {
		r->d.hour = v;
		r->pos++;
		if ((r->d.minute = number(r->s, r->len, &r->pos, 2, NULL)) == -1)
			return -1;
		if (r->pos < r->len && r->s[r->pos] == ':') {
			r->pos++;
			if ((r->d.second = number(r->s, r->len, &r->pos, 2, NULL)) == -1)
				return -1;
			/* A fraction. */
			if (r->pos + 1 < r->len && r->s[r->pos] == '.' &&
			    is_digit(r->s[r->pos + 1])) {
				for (r->pos++; r->pos < r->len && is_digit(r->s[r->pos]);)
					r->pos++;
			}
		}
		r->have_time = true;
		return 0;
	}
	if (!r->have_day && digits <= 2) {
		r->d.day = v;
		r->have_day = true;
	} else if (!r->have_year) {
		/* RFC 5322, 4.3. */
		r->d.year = digits == 2   ? v + (v < 50 ? 2000 : 1900)
			    : digits == 3 ? v + 1900
					  : v;
		r->have_year = true;
	} else if (r->have_time && !r->have_zone && digits == 4) {
		r->pos = start;
		return read_zone(r, 1);
	} else
		return -1;
	return 0;
}

int
date_parse(const char *s, size_t len, struct date *out)
{
	struct reader r = { .s = s, .len = len < DATE_TEXT_MAX ? len : DATE_TEXT_MAX };
	int rc = 0;

	while (rc == 0 && r.pos < r.len) {
		char c = s[r.pos];

		/* Day, month, year and time are there: what follows a zone is noise. */
		if (r.have_day && r.have_year && r.have_time && r.have_zone)
			break;
		if (c == '(')
			skip_comment(&r);
		else if (is_alpha(c))
			read_word(&r);
		else if (is_digit(c))
			rc = read_number(&r);
		else {
			r.pos++;
			if ((c == '+' || c == '-') && r.have_time && r.pos < r.len &&
			    is_digit(s[r.pos]))
				rc = read_zone(&r, c == '+' ? 1 : -1);
		}
		/* "GMT+0100" */
		if (r.have_zone && r.pos + 1 < r.len &&
		    (s[r.pos] == '+' || s[r.pos] == '-') && r.have_time && is_alpha(c)) {
			int sign = s[r.pos++] == '+' ? 1 : -1;

			if (is_digit(s[r.pos]))
				rc = read_zone(&r, sign);
		}
	}
	if (rc == -1 || !r.have_day || !r.have_year || !r.have_time || finish(&r.d) == -1)
		return -1;
	*out = r.d;
	return 0;
}

static int
print(char *out, size_t cap, int n)
{
	if (n >= 0 && (size_t)n < cap)
		return n;
	if (cap > 0)
		out[0] = '\0';
	return -1;
}

int
date_format(int64_t t, int zone_min, char *out, size_t cap)
{
	struct date d;
	int abs_zone = zone_min < 0 ? -zone_min : zone_min, wday;

	date_from_time(t, zone_min, &d);
	if (d.year < 0 || d.year > 9999 || abs_zone > 5999)
		return -1;
	wday = (int)((date_to_days(d.year, d.month, d.day) % 7 + 11) % 7);
	return print(out, cap,
	    snprintf(out, cap, "%s, %02d %s %04d %02d:%02d:%02d %c%02d%02d", days[wday],
		d.day, months[d.month - 1], d.year, d.hour, d.minute, d.second,
		zone_min < 0 ? '-' : '+', abs_zone / 60, abs_zone % 60));
}

int
date_format_imap(int64_t t, int zone_min, char *out, size_t cap)
{
	struct date d;
	int abs_zone = zone_min < 0 ? -zone_min : zone_min;

	date_from_time(t, zone_min, &d);
	if (d.year < 0 || d.year > 9999 || abs_zone > 5999)
		return -1;
	return print(out, cap,
	    snprintf(out, cap, "%02d-%s-%04d %02d:%02d:%02d %c%02d%02d", d.day,
		months[d.month - 1], d.year, d.hour, d.minute, d.second,
		zone_min < 0 ? '-' : '+', abs_zone / 60, abs_zone % 60));
}

int
date_format_iso(int64_t t, char *out, size_t cap)
{
	struct date d;

	date_from_time(t, 0, &d);
	if (d.year < 0 || d.year > 9999)
		return -1;
	return print(out, cap,
	    snprintf(out, cap, "%04d-%02d-%02dT%02d:%02d:%02dZ", d.year, d.month, d.day,
		d.hour, d.minute, d.second));
}

/* Exactly n digits. */
static int
fixed(const char *s, size_t len, size_t pos, size_t n)
{
	int v = 0;

	if (len < pos || len - pos < n)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (!is_digit(s[pos + i]))
			return -1;
		v = v * 10 + (s[pos + i] - '0');
	}
	return v;
}

/* dd-Mon-yyyy with d or SP d allowed; sets *used. */
static int
imap_day(const char *s, size_t len, struct date *d, size_t *used)
{
	size_t pos = len > 0 && s[0] == ' ', digits;

	memset(d, 0, sizeof(*d));
	if ((d->day = number(s, len, &pos, 2, &digits)) == -1 ||
	    (s[0] == ' ' && digits != 1))
		return -1;
	if (len - pos < 9 || s[pos] != '-' || s[pos + 4] != '-' ||
	    (d->month = month_by_name(s + pos + 1)) == 0 ||
	    (d->year = fixed(s, len, pos + 5, 4)) == -1)
		return -1;
	*used = pos + 9;
	return 0;
}

int
date_parse_imap_day(const char *s, size_t len, struct date *out)
{
	struct date d;
	size_t used;

	if (len == 0 || s[0] == ' ' || imap_day(s, len, &d, &used) == -1 || used != len ||
	    finish(&d) == -1)
		return -1;
	*out = d;
	return 0;
}

int
date_parse_imap(const char *s, size_t len, struct date *out)
{
	struct date d;
	size_t p;
	int zone;

	if (len == 0 || imap_day(s, len, &d, &p) == -1 || len - p != 15)
		return -1;
	d.hour = fixed(s, len, p + 1, 2);
	d.minute = fixed(s, len, p + 4, 2);
	d.second = fixed(s, len, p + 7, 2);
	zone = fixed(s, len, p + 11, 4);
	if (s[p] != ' ' || s[p + 3] != ':' || s[p + 6] != ':' || s[p + 9] != ' ' ||
	    (s[p + 10] != '+' && s[p + 10] != '-') || zone == -1)
		return -1;
	d.zone_min = (zone / 100 * 60 + zone % 100) * (s[p + 10] == '-' ? -1 : 1);
	if (finish(&d) == -1)
		return -1;
	*out = d;
	return 0;
}

int
date_parse_iso(const char *s, size_t len, struct date *out)
{
	struct date d = { 0 };
	size_t p = 19;
	int h, m;

	if (len < 20 || s[4] != '-' || s[7] != '-' ||
	    (s[10] != 'T' && s[10] != 't' && s[10] != ' ') || s[13] != ':' ||
	    s[16] != ':')
		return -1;
	d.year = fixed(s, len, 0, 4);
	d.month = fixed(s, len, 5, 2);
	d.day = fixed(s, len, 8, 2);
	d.hour = fixed(s, len, 11, 2);
	d.minute = fixed(s, len, 14, 2);
	d.second = fixed(s, len, 17, 2);
	if (s[p] == '.') {
		for (p++; p < len && is_digit(s[p]);)
			p++;
		if (p == 20)
			return -1;
	}
	if (len - p == 6 && (s[p] == '+' || s[p] == '-') && s[p + 3] == ':') {
		h = fixed(s, len, p + 1, 2);
		m = fixed(s, len, p + 4, 2);
		if (h == -1 || m == -1)
			return -1;
		d.zone_min = (h * 60 + m) * (s[p] == '-' ? -1 : 1);
	} else if (len - p != 1 || (s[p] != 'Z' && s[p] != 'z'))
		return -1;
	if (finish(&d) == -1)
		return -1;
	*out = d;
	return 0;
}
