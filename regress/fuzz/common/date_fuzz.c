/* SPDX-License-Identifier: ISC */
/* What was read can be written, and reads back as the same moment. */
#include <stdint.h>
#include <stdlib.h>

#include "common/proto/date.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *s = (const char *)data;
	char out[DATE_MAX];
	struct date d, e;
	int n;

	if (date_parse(s, size, &d) == 0 &&
	    (n = date_format(d.time, d.zone_min, out, sizeof(out))) != -1 &&
	    (date_parse(out, (size_t)n, &e) == -1 || e.time != d.time ||
		e.zone_min != d.zone_min))
		abort();
	if (date_parse_imap(s, size, &d) == 0 &&
	    (n = date_format_imap(d.time, d.zone_min, out, sizeof(out))) != -1 &&
	    (date_parse_imap(out, (size_t)n, &e) == -1 || e.time != d.time))
		abort();
	if (date_parse_iso(s, size, &d) == 0 &&
	    (n = date_format_iso(d.time, out, sizeof(out))) != -1 &&
	    (date_parse_iso(out, (size_t)n, &e) == -1 || e.time != d.time))
		abort();
	date_parse_imap_day(s, size, &d);
	return 0;
}
