/* SPDX-License-Identifier: ISC */
#ifndef FIFE_IMAP_SORTKEY_H
#define FIFE_IMAP_SORTKEY_H

/*
 * What SORT and THREAD (RFC 5256, RFC 5957) need of a message's header, made once and
 * kept in the index as one short record.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct evbuffer;

#define IMAP_SORT_TEXT_MAX 200  /* octets of each text: enough to tell them apart */
#define IMAP_SORT_REFERENCES 64 /* the first and the last ones */
#define IMAP_SORT_RECORD_MAX 32768

enum imap_sort_text {
	IMAP_SORT_SUBJECT, /* base subject, folded (RFC 5256, 2.1) */
	IMAP_SORT_FROM,    /* folded */
	IMAP_SORT_TO,
	IMAP_SORT_CC,
	IMAP_SORT_DISPLAYFROM,
	IMAP_SORT_DISPLAYTO,
	IMAP_SORT_MESSAGEID, /* as it is, without <> */
	IMAP_SORT_TEXTS
};

struct imap_text {
	const char *s;
	size_t len;
};

/* Borrowed from a record. */
struct imap_sortkey {
	bool has_date;
	bool reply; /* the subject says that it is an answer or forwarded */
	int64_t date;
	struct imap_text text[IMAP_SORT_TEXTS];
	struct imap_text references[IMAP_SORT_REFERENCES];
	size_t n_references;
};

/* The record of a header section. */
void imap_sortkey_make(const char *header, size_t len, struct evbuffer *);
/* -1: it does not decode. */
int imap_sortkey_read(const uint8_t *, size_t, struct imap_sortkey *);

/* The base subject of an unfolded and decoded one. out may be in; returns its length. */
size_t imap_base_subject(const char *in, size_t len, char *out, bool *reply);

#endif
