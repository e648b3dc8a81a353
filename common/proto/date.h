/* SPDX-License-Identifier: ISC */
/* Dates of RFC 5322, 3.3 and 4.3, and the date-time and date of IMAP (RFC 9051, 9). */
#ifndef FIFE_DATE_H
#define FIFE_DATE_H

#include <stddef.h>
#include <stdint.h>

#define DATE_MAX 40 /* room for every form with its NUL */

struct date {
	int64_t time;         /* seconds since 1970-01-01 00:00:00 UTC */
	int zone_min;         /* minutes east of UTC, -5999..5999 as written */
	int year, month, day; /* as written, in its own zone; month 1-12 */
	int hour, minute, second;
};

/*
 * Tolerant: day name and seconds optional, comments skipped, two- and three-digit years,
 * named zones, a missing zone is UTC, asctime order ("Mon Jan  2 15:04:05 2006").
 * Out of range is refused.  0 or -1.
 */
int date_parse(const char *s, size_t len, struct date *out);
/* "Mon, 02 Jan 2006 15:04:05 -0700".  Returns the length, or -1 (no room, year not
 * 0-9999). */
int date_format(int64_t time, int zone_min, char *out, size_t cap);

/* Without quotes: "02-Jan-2006 15:04:05 -0700" (APPEND, INTERNALDATE), read also with
 * " 2" for the day. Strict. */
int date_parse_imap(const char *s, size_t len, struct date *out);
int date_format_imap(int64_t time, int zone_min, char *out, size_t cap);
/* Without quotes: "2-Jan-2006" (SEARCH); time is midnight UTC of that day. Strict. */
int date_parse_imap_day(const char *s, size_t len, struct date *out);

/* "2006-01-02T15:04:05Z" (RFC 3339) with optional fraction and zone. */
int date_parse_iso(const char *s, size_t len, struct date *out);
int date_format_iso(int64_t time, char *out, size_t cap);

/* Civil calendar both ways without regard to TZ; month 1-12. */
int64_t date_to_days(int year, int month, int day);
void date_from_time(int64_t time, int zone_min, struct date *out);
/* Offset of the local time zone at that moment, minutes east of UTC (uses localtime_r).
 */
int date_local_zone(int64_t time);

#endif
