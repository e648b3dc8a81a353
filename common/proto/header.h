/* SPDX-License-Identifier: ISC */
/*
 * The header section of a message (RFC 5322, 2.2) in a buffer that may hold only its
 * beginning.  Nothing is copied: fields point into the buffer and die with it.
 * Lines end in CRLF or LF.  The section ends with the first empty line.  A line that is
 * no field (no colon, a control character or space in the name, a fold before any field)
 * is handed out as a malformed field with an empty name, so that offsets stay complete
 * and no octet is lost.  White space before the colon is accepted (RFC 5322, 4.5).
 */
#ifndef FIFE_HEADER_H
#define FIFE_HEADER_H

#include <stdbool.h>
#include <stddef.h>

#define HEADER_SECTION_MAX (1024 * 1024) /* default bound, octets */
#define HEADER_FIELDS_MAX 10000          /* default bound, fields */

enum header_result {
	HEADER_FIELD = 1, /* *field is filled */
	HEADER_END = 0,   /* section ended: scan.pos is where the body starts */
	HEADER_MORE = -1, /* the buffer ends within a field; call again with more bytes */
	HEADER_LIMIT = -2, /* more octets or fields than the bounds */
};

struct header_field {
	const char *name; /* without the colon; borrowed */
	size_t name_len;  /* 0: malformed line */
	const char
	    *value; /* after the colon, folds kept, last line end removed; borrowed */
	size_t value_len;
	size_t offset; /* of the field's first octet in the buffer */
	size_t length; /* of the whole field with its last line end */
	bool malformed;
};

struct header_scan {
	const char *buf;
	size_t len;
	size_t pos; /* of the next field; after HEADER_END the start of the body */
	bool final; /* no more bytes will come: the end of the buffer ends the section */
	bool no_blank; /* after HEADER_END: the section ended without its empty line */
	size_t fields;
	size_t max_octets; /* may be changed after init */
	size_t max_fields;
};

void header_scan_init(struct header_scan *s, const char *buf, size_t len, bool final);
/* More bytes arrived; buf may have moved but starts with the same octets. */
void header_scan_extend(struct header_scan *s, const char *buf, size_t len, bool final);
enum header_result header_next(struct header_scan *s, struct header_field *field);

/* Name comparison without regard to ASCII case. */
bool header_name_is(const struct header_field *f, const char *name);
/* The nth (from 0) field of that name in a complete section (or message). 0, or -1. */
int header_get(
    const char *buf, size_t len, const char *name, size_t nth, struct header_field *out);
size_t header_count(const char *buf, size_t len, const char *name);
/* Octets of the section with its empty line; len when there is no empty line. */
size_t header_section_len(const char *buf, size_t len);

/*
 * Removes line ends of folds, leading and trailing white space, and NULs; a run of fold
 * white space is kept as it stands (RFC 5322, 2.2.3).  Writes at most cap - 1 octets and
 * a NUL; returns the length written.  Cuts what does not fit.  in and out may be the
 * same.
 */
size_t header_unfold(const char *value, size_t len, char *out, size_t cap);
/* Unfolds and decodes RFC 2047 words; result is valid UTF-8. Returns the length written.
 */
size_t header_decode(const char *value, size_t len, char *out, size_t cap);

#endif
