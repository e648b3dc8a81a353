/*
 * What the extensions of SMTP ask for a message, as a block of a record: its length, then
 * fields in the order of their numbers, each with its number, length and value.
 *
 * SPDX-License-Identifier: ISC
 */
#include "queued/record.h"

enum field {
	FIELD_PRIORITY = 1, /* (1) */
	FIELD_TLS,          /* (1) */
	FIELD_RELEASE,      /* time (8), and the parameter as a string */
	FIELD_BY,           /* time (8), mode (1), trace (1) */
	FIELD_UTF8,         /* nothing more */
	FIELD_LIST          /* string */
};

int
rec_ext_is_empty(const struct rec_ext *x)
{
	return x->priority == 0 && x->tls == 0 && x->release == 0 && x->by_mode == 0 &&
	       !x->utf8_header && (x->list == NULL || x->list[0] == '\0');
}

static void
fields_put(const struct rec_ext *x, struct bytes_out *o)
{
	if (x->priority != 0) {
		bytes_put_int(o, FIELD_PRIORITY, 1);
		bytes_put_int(o, (uint8_t)x->priority, 1);
	}
	if (x->tls != 0) {
		bytes_put_int(o, FIELD_TLS, 1);
		bytes_put_int(o, x->tls, 1);
	}
	if (x->release != 0) {
		bytes_put_int(o, FIELD_RELEASE, 1);
		bytes_put_int(o, (uint64_t)x->release, 8);
		bytes_put_str(o, x->hold);
	}
	if (x->by_mode != 0) {
		bytes_put_int(o, FIELD_BY, 1);
		bytes_put_int(o, (uint64_t)x->by, 8);
		bytes_put_int(o, x->by_mode, 1);
		bytes_put_int(o, x->by_trace, 1);
	}
	if (x->utf8_header)
		bytes_put_int(o, FIELD_UTF8, 1);
	if (x->list != NULL && x->list[0] != '\0') {
		bytes_put_int(o, FIELD_LIST, 1);
		bytes_put_str(o, x->list);
	}
}

void
rec_ext_encode(const struct rec_ext *x, struct bytes_out *o)
{
	struct bytes_out measure = { 0 };

	fields_put(x, &measure);
	bytes_put_int(o, measure.len, 2);
	fields_put(x, o);
}

static int
field_get(struct bytes_in *in, uint8_t field, struct rec_ext *x)
{
	switch (field) {
	case FIELD_PRIORITY:
		x->priority = (int8_t)bytes_get_int(in, 1);
		return x->priority != 0 && x->priority >= -REC_PRIORITY_MAX &&
			       x->priority <= REC_PRIORITY_MAX
			   ? 0
			   : -1;
	case FIELD_TLS:
		x->tls = (uint8_t)bytes_get_int(in, 1);
		return x->tls == REC_TLS_REQUIRED || x->tls == REC_TLS_OPTIONAL ? 0 : -1;
	case FIELD_RELEASE:
		x->release = (int64_t)bytes_get_int(in, 8);
		x->hold = bytes_get_str(in, REC_HOLD_MAX);
		return x->release != 0 ? 0 : -1;
	case FIELD_BY:
		x->by = (int64_t)bytes_get_int(in, 8);
		x->by_mode = (uint8_t)bytes_get_int(in, 1);
		x->by_trace = (uint8_t)bytes_get_int(in, 1);
		return (x->by_mode == REC_BY_RETURN || x->by_mode == REC_BY_NOTIFY) &&
			       x->by_trace <= 1
			   ? 0
			   : -1;
	case FIELD_UTF8:
		x->utf8_header = 1;
		return 0;
	case FIELD_LIST:
		x->list = bytes_get_str(in, REC_LIST_MAX);
		return x->list[0] != '\0' ? 0 : -1;
	default:
		return -1;
	}
}

int
rec_ext_decode(struct bytes_in *in, struct rec_ext *x)
{
	struct bytes_in block;
	uint8_t last = 0, field;

	block.len = (size_t)bytes_get_int(in, 2);
	block.p = bytes_get(in, block.len);
	block.bad = in->bad;
	/* An empty one would not have been written. */
	if (in->bad || block.len == 0)
		return -1;
	while (block.len > 0) {
		field = (uint8_t)bytes_get_int(&block, 1);
		if (field <= last || field_get(&block, field, x) == -1 || block.bad)
			return -1;
		last = field;
	}
	return 0;
}
