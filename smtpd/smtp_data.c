/* SPDX-License-Identifier: ISC */
/*
 * The machine behind smtp_data.h. Its states:
 *
 *	SOL --"."--> DOT --CR--> DOT_CR --LF--> the end
 *	SOL, DOT, LINE --other--> LINE --CR--> CR --LF--> SOL
 *
 * Every other CR and LF is a fault.
 */
#include "smtpd/smtp_data.h"

#include <string.h>

#include "common/proto/encoding.h"

enum state {
	SOL,
	DOT,
	DOT_CR,
	LINE,
	CR
};
enum part {
	PART_START,
	PART_NAME,
	PART_REST
};

/* A line whose field name would be longer than this is no header line. */
#define NAME_MAX_LEN 100

void
smtp_data_init(
    struct smtp_data *d, enum smtp_data_form form, uint64_t size_max, uint32_t hops_max)
{
	memset(d, 0, sizeof(*d));
	d->form = (uint8_t)form;
	d->size_max = size_max;
	d->hops_max = hops_max;
	d->state = SOL;
	d->in_header = 1;
}

void
smtp_data_clear(struct smtp_data *d)
{
	smtp_fields_clear(&d->fields);
	d->message_id[0] = '\0';
}

static void
fault(struct smtp_data *d, enum smtp_data_fault what)
{
	if (d->fault == SMTP_DATA_GOOD)
		d->fault = what;
	d->in_header = 0;
}

static void
field(struct smtp_data *d)
{
	d->has_field = 1;
	if (++d->n_fields > SMTP_HEADER_FIELDS_MAX) {
		fault(d, SMTP_DATA_HEADER);
		return;
	}
	if (d->name_len > sizeof(d->name))
		return;
	smtp_fields_begin(&d->fields, d->name, d->name_len);
	if (ascii_equal(d->name, d->name_len, "received")) {
		if (++d->hops > d->hops_max)
			fault(d, SMTP_DATA_HOPS);
	} else if (ascii_equal(d->name, d->name_len, "date"))
		d->has_date = 1;
	else if (ascii_equal(d->name, d->name_len, "from"))
		d->has_from = 1;
	else if (ascii_equal(d->name, d->name_len, "message-id")) {
		d->in_message_id = !d->has_message_id;
		d->has_message_id = 1;
	}
}

/* White space and angle brackets apart, as logs and `why` have it. */
static void
message_id_octet(struct smtp_data *d, unsigned char c)
{
	if (c <= ' ' || c == '<' || c == '>' ||
	    d->message_id_len == sizeof(d->message_id) - 1)
		return;
	d->message_id[d->message_id_len++] = (char)c;
}

/* A header has lines, even that of a binary message. */
static void
bare(struct smtp_data *d)
{
	if (d->form != SMTP_DATA_BINARY || d->in_header)
		fault(d, SMTP_DATA_BARE);
}

void
smtp_data_finish(struct smtp_data *d)
{
	if (d->state == CR)
		bare(d);
}

/* The body begins, without an empty line before it perhaps. */
static void
header_end(struct smtp_data *d)
{
	d->in_header = 0;
	if (d->part == PART_NAME && !d->has_field)
		d->no_header = 1;
}

/* One octet of a header line, CR and LF apart. */
static void
header_octet(struct smtp_data *d, unsigned char c)
{
	if (++d->header_size > SMTP_HEADER_MAX) {
		fault(d, SMTP_DATA_HEADER);
		return;
	}
	switch (d->part) {
	case PART_START:
		if (c != ' ' && c != '\t') {
			d->in_message_id = 0;
			smtp_fields_end(&d->fields);
		}
		if (c == ' ' || c == '\t') {
			d->part = PART_REST;
			smtp_fields_octet(&d->fields, c);
			return;
		}
		d->part = PART_NAME;
		d->name_len = 0;
		/* FALLTHROUGH */
	case PART_NAME:
		if (c == ':') {
			field(d);
			d->part = PART_REST;
		} else if (c == ' ' || c == '\t') {
			/* RFC 5322, 4.5: white space may stand before the colon. */
			break;
		} else if (c < 33 || c > 126 || d->name_len == NAME_MAX_LEN)
			header_end(d);
		else {
			if (d->name_len < sizeof(d->name))
				d->name[d->name_len] = (char)c;
			d->name_len++;
		}
		break;
	default:
		if (d->in_message_id)
			message_id_octet(d, c);
		smtp_fields_octet(&d->fields, c);
		break;
	}
}

static void
header_line_end(struct smtp_data *d)
{
	d->header_size += 2;
	if (d->part != PART_REST)
		header_end(d); /* the empty line, or a line of the body */
	d->part = PART_START;
}

#define OCTETS(c) (UINT64_C(0x0101010101010101) * (c))

/* Is one of the eight octets zero? */
static int
has_zero(uint64_t v)
{
	return ((v - OCTETS(1)) & ~v & OCTETS(0x80)) != 0;
}

/* Index of the next CR, LF or NUL, or len. */
static size_t
plain_run(const char *in, size_t i, size_t len)
{
	for (; len - i >= 8; i += 8) {
		uint64_t v;

		memcpy(&v, in + i, 8);
		if (has_zero(v) || has_zero(v ^ OCTETS('\r')) ||
		    has_zero(v ^ OCTETS('\n')))
			break;
	}
	while (i < len && in[i] != '\r' && in[i] != '\n' && in[i] != '\0')
		i++;
	return i;
}

static void
step(struct smtp_data *d, unsigned char c)
{
	if (c == '\r') {
		if (d->state == CR)
			bare(d);
		d->state = CR;
		return;
	}
	if (c == '\n') {
		if (d->state == CR) {
			d->state = SOL;
			if (d->in_header)
				header_line_end(d);
		} else {
			/* Not a line's start: "." behind it is no end. */
			d->state = LINE;
			bare(d);
		}
		return;
	}
	if (d->state == CR)
		bare(d);
	d->state = LINE;
	if (c == '\0' && (d->form != SMTP_DATA_BINARY || d->in_header))
		fault(d, SMTP_DATA_NUL);
	else if (d->in_header)
		header_octet(d, c);
}

static void
hand_out(struct smtp_data *d, const char *in, size_t from, size_t to, const char **span,
    size_t *span_len)
{
	*span = in + from;
	*span_len = to - from;
	d->size += *span_len;
	/* Over any other fault, so that the reply does not depend on how the input was
	 * cut. */
	if (d->size > d->size_max) {
		d->fault = SMTP_DATA_SIZE;
		d->in_header = 0;
	}
	if (d->fault != SMTP_DATA_GOOD)
		*span_len = 0;
}

enum smtp_data_result
smtp_data_feed(struct smtp_data *d, const char *in, size_t len, size_t *used,
    const char **span, size_t *span_len)
{
	size_t i = 0, start = 0;
	enum smtp_data_result result = SMTP_DATA_MORE;

	while (i < len) {
		if (d->form == SMTP_DATA_BINARY && !d->in_header) {
			d->state = in[len - 1] == '\r' ? CR : LINE;
			i = len;
			break;
		}
		if (d->state == LINE && !d->in_header) {
			i = plain_run(in, i, len);
			if (i == len)
				break;
		}
		if (d->state == SOL && in[i] == '.' && d->form == SMTP_DATA_DOTS) {
			d->state = DOT;
			if (i > start) {
				hand_out(d, in, start, i, span, span_len);
				*used = i + 1;
				d->total += *used;
				return SMTP_DATA_MORE;
			}
			start = ++i;
			continue;
		}
		if (d->state == DOT && in[i] == '\r') {
			d->state = DOT_CR;
			start = ++i;
			continue;
		}
		if (d->state == DOT_CR) {
			if (in[i] == '\n') {
				start = ++i;
				result = SMTP_DATA_END;
				break;
			}
			fault(d, SMTP_DATA_BARE);
			d->state = in[i] == '\r' ? CR : LINE;
			i++;
			continue;
		}
		step(d, (unsigned char)in[i]);
		i++;
	}
	hand_out(d, in, start, i, span, span_len);
	*used = i;
	d->total += i;
	return result;
}
