/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SMTP_DATA_H
#define FIFE_SMTP_DATA_H

/*
 * The content behind DATA (RFC 5321, 4.5.2): dots are unstuffed and the end is
 * found. Only CR LF "." CR LF is the end. Content with a bare CR or LF is read to
 * that end and refused as a whole, since another host might see an end, and then
 * commands, in it (SMTP smuggling). Nothing is copied: content is handed out as
 * spans of the input. Lines may be longer than 998 octets; senders in use
 * do that, and nothing here holds a line.
 *
 * Content of BDAT (RFC 3030) comes without dots and end; its chunks are fed one behind
 * the other. Text obeys the same rules there; binary may hold anything behind its header.
 */

#include <stddef.h>
#include <stdint.h>

#include "smtpd/smtp_fields.h"

#define SMTP_HEADER_MAX (1024 * 1024)
#define SMTP_HEADER_FIELDS_MAX 10000

enum smtp_data_fault {
	SMTP_DATA_GOOD,
	SMTP_DATA_BARE, /* CR or LF alone */
	SMTP_DATA_NUL,
	SMTP_DATA_SIZE,   /* over size_max */
	SMTP_DATA_HEADER, /* header section over SMTP_HEADER_MAX or _FIELDS_MAX */
	SMTP_DATA_HOPS    /* more Received fields than hops_max: a loop */
};

enum smtp_data_form {
	SMTP_DATA_DOTS,  /* DATA */
	SMTP_DATA_TEXT,  /* BDAT */
	SMTP_DATA_BINARY /* BDAT with BODY=BINARYMIME */
};

struct smtp_data {
	uint64_t size;  /* octets of content, those after a fault included */
	uint64_t total; /* octets read, the refused included */
	uint64_t size_max;
	uint32_t hops;
	uint32_t hops_max;
	uint32_t header_size;
	uint32_t n_fields;
	enum smtp_data_fault
	    fault;    /* size's, or the first; nothing is handed out after it */
	uint8_t form; /* enum smtp_data_form */
	uint8_t state;
	uint8_t in_header;
	uint8_t part; /* of the header line */
	uint8_t has_date;
	uint8_t has_message_id;
	uint8_t has_from;
	uint8_t has_field;
	uint8_t no_header; /* the first line is no field, but there is one */
	uint8_t name_len;
	uint8_t in_message_id; /* the value of the first one is being read */
	uint8_t message_id_len;
	char name[32];
	char message_id[250]; /* for logs, without <>; cut where it is too long */
	struct smtp_fields fields;
};

enum smtp_data_result {
	SMTP_DATA_MORE,
	SMTP_DATA_END
};

/* *d: all zero, or cleared. */
void smtp_data_init(
    struct smtp_data *, enum smtp_data_form, uint64_t size_max, uint32_t hops_max);
/* What it has kept of the header. */
void smtp_data_clear(struct smtp_data *);
/*
 * Takes *used octets and hands out one span of them (length 0: none). MORE with *used
 * below len: call again for the rest. END: *used is behind the end.
 */
enum smtp_data_result smtp_data_feed(struct smtp_data *, const char *in, size_t len,
    size_t *used, const char **span, size_t *span_len);
/* The last chunk of BDAT is in: sets fault if it ends amid a line's end. */
void smtp_data_finish(struct smtp_data *);

#endif
