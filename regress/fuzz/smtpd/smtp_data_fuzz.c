/* SPDX-License-Identifier: ISC */
/* Content against a slow and plain reading of RFC 5321, 4.5.2, whole and in pieces. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "smtpd/smtp_data.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SIZE_LIMIT 4000

/* 1: the end was seen. */
static int
feed(struct smtp_data *d, const uint8_t *data, size_t size, size_t piece, uint8_t *out,
    size_t *out_len, size_t *end)
{
	size_t pos = 0;

	smtp_data_init(d, SMTP_DATA_DOTS, SIZE_LIMIT, 5);
	*out_len = 0;
	while (pos < size) {
		size_t n = piece < size - pos ? piece : size - pos, used, span_len;
		const char *span;
		enum smtp_data_result r = smtp_data_feed(
		    d, (const char *)data + pos, n, &used, &span, &span_len);

		if (used == 0 || used > n || *out_len + span_len > size)
			abort();
		memcpy(out + *out_len, span, span_len);
		*out_len += span_len;
		pos += used;
		if (r == SMTP_DATA_END) {
			*end = pos;
			return 1;
		}
	}
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct smtp_data a = { 0 }, b = { 0 };
	char address[2][ADDRESS_MAX + 1];
	int64_t since[2];
	size_t off[2] = { 0, 0 };
	size_t a_len, b_len, a_end = 0, b_end = 0, want = 0, i;
	uint8_t *out, *ref;
	int ended, bare = 0;

	if (size < 1 || size > 8000 || (out = malloc(3 * size)) == NULL)
		return 0;
	ref = out + 2 * size;
	ended = feed(&a, data, size, size, out, &a_len, &a_end);
	if (feed(&b, data, size, 1 + data[0] % 7, out + size, &b_len, &b_end) != ended ||
	    a_end != b_end || a.fault != b.fault || a.total != b.total)
		abort();
	if (a.fault == SMTP_DATA_GOOD &&
	    (a_len != b_len || memcmp(out, out + size, a_len) != 0))
		abort();
	if (smtp_fields_tls_optional(&a.fields) != smtp_fields_tls_optional(&b.fields))
		abort();
	while (smtp_fields_rrvs(&a.fields, &off[0], address[0], &since[0])) {
		if (!smtp_fields_rrvs(&b.fields, &off[1], address[1], &since[1]) ||
		    strcmp(address[0], address[1]) != 0 || since[0] != since[1])
			abort();
	}
	if (smtp_fields_rrvs(&b.fields, &off[1], address[1], &since[1]))
		abort();
	smtp_data_clear(&a);
	smtp_data_clear(&b);
	/* The only end is CR LF "." CR LF, the first CR LF perhaps that of DATA. */
	if (ended) {
		if (a_end < 3 || memcmp(data + a_end - 3, ".\r\n", 3) != 0 ||
		    (a_end > 3 &&
			(a_end < 5 || memcmp(data + a_end - 5, "\r\n", 2) != 0)))
			abort();
		for (i = 0; i + 3 < a_end; i++) {
			bare |= data[i] == '\r' && data[i + 1] != '\n';
			bare |= data[i] == '\n' && (i == 0 || data[i - 1] != '\r');
		}
		if (bare && a.fault == SMTP_DATA_GOOD)
			abort();
		if (a.fault == SMTP_DATA_GOOD) {
			for (i = 0; i + 3 < a_end; i++)
				if (!(data[i] == '.' && (i == 0 || data[i - 1] == '\n')))
					ref[want++] = data[i];
			if (want != a_len || memcmp(ref, out, want) != 0)
				abort();
		}
	}
	free(out);
	return 0;
}
