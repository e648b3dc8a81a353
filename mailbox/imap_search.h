/* SPDX-License-Identifier: ISC */
#ifndef FIFE_IMAP_SEARCH_H
#define FIFE_IMAP_SEARCH_H

/*
 * SEARCH (RFC 3501, 6.4.4; RFC 4731). Keys are a tree of bounded depth and size. Text is
 * compared in UTF-8 without regard to case, with runs of white space as one space, after
 * transfer encodings, charsets and encoded words were undone.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/imap/imap_parse.h"
#include "common/proto/mime.h"
#include "mailbox/annotations.h"
#include "mailbox/imap_set.h"

#define IMAP_SEARCH_DEPTH_MAX 50
#define IMAP_SEARCH_KEYS_MAX 1000

enum imap_key_kind {
	IMAP_KEY_AND, /* of the children; ALL is one without */
	IMAP_KEY_OR,
	IMAP_KEY_NOT,
	IMAP_KEY_FLAG,    /* flags: system bit set */
	IMAP_KEY_KEYWORD, /* text */
	IMAP_KEY_RECENT,
	IMAP_KEY_SEQ,
	IMAP_KEY_UID,
	IMAP_KEY_LARGER,
	IMAP_KEY_SMALLER,
	IMAP_KEY_BEFORE, /* day: INTERNALDATE */
	IMAP_KEY_ON,
	IMAP_KEY_SINCE,
	IMAP_KEY_SAVEDBEFORE, /* day: SAVEDATE (RFC 8514) */
	IMAP_KEY_SAVEDON,
	IMAP_KEY_SAVEDSINCE,
	IMAP_KEY_OLDER, /* number: seconds (RFC 5032) */
	IMAP_KEY_YOUNGER,
	IMAP_KEY_MODSEQ,  /* modseq: at least (RFC 7162) */
	IMAP_KEY_EMAILID, /* name (RFC 8474) */
	IMAP_KEY_THREADID,
	IMAP_KEY_SENTBEFORE, /* day: Date: */
	IMAP_KEY_SENTON,
	IMAP_KEY_SENTSINCE,
	IMAP_KEY_HEADER, /* name and text */
	IMAP_KEY_BODY,
	IMAP_KEY_TEXT,
};

struct fts_query;
struct imap;
struct imap_fuzzy;
struct store;

struct imap_key {
	enum imap_key_kind kind;
	int cost; /* 0 the index, 1 the header, 2 the body: cheap ones are asked first */
	struct imap_key *child, *next;
	uint8_t flag;
	uint32_t number;
	int64_t day; /* midnight UTC, seconds */
	uint64_t modseq;
	struct imap_set set;
	char *name;
	char *text; /* folded */
	size_t text_len;
	struct fts_query *query;  /* of text, made when it is first needed (fts.h) */
	struct imap_fuzzy *fuzzy; /* NULL: exactly the text */
};

enum imap_return {
	IMAP_RETURN_MIN = 1,
	IMAP_RETURN_MAX = 2,
	IMAP_RETURN_ALL = 4,
	IMAP_RETURN_COUNT = 8,
	IMAP_RETURN_SAVE = 16,    /* RFC 5182 */
	IMAP_RETURN_PARTIAL = 32, /* RFC 9394 */
	IMAP_RETURN_UPDATE = 64,  /* RFC 5267 */
	IMAP_RETURN_CONTEXT = 128,
	IMAP_RETURN_RELEVANCY = 256, /* RFC 6203 */
};

struct imap_search {
	struct imap_key *root; /* AND */
	bool extended;         /* RETURN was said */
	unsigned int result;   /* enum imap_return */
	struct imap_partial partial;
	bool bad_charset;
	bool modseq;     /* by modification sequences: the result tells them */
	bool numbers;    /* by sequence numbers */
	bool fuzzy;      /* some key is */
	bool no_filters; /* the asker has none here */
	bool correlate;  /* the answer names the mailbox (RFC 7377, 2.1) */
	char undefined[ANNOTATION_NAME_MAX + 1]; /* a filter that is none (RFC 5466) */
	char *attributes;                        /* of UPDATE (RFC 5465, 7), or NULL */
};

/* "RETURN (...) ", where it is. To be cleared in any case. In what follows the store is
 * where filters are looked up; NULL: they are only names. */
int imap_search_parse_return(struct imap_args *, struct imap_search *);
/* "CHARSET x " (where it is) and the keys, to the end. */
int imap_search_parse_keys(struct imap_args *, struct imap_search *, struct store *);
/* The keys alone, with texts in that charset. */
int imap_search_parse_program(struct imap_args *, struct imap_search *, struct store *,
    const struct imap_str *charset);
/* All of SEARCH, from the space after its name, without filters. */
int imap_search_parse(struct imap_args *, struct imap_search *);
/* "*" and "$" become numbers: of a mailbox with n messages, the last with that UID. */
int imap_search_resolve(struct imap_search *, uint32_t n, uint32_t last,
    const uint32_t *saved, size_t n_saved);
/* Message numbers of the selected mailbox become what they mean now. -1: no memory. */
int imap_search_numbers_to_uids(struct imap *, struct imap_search *);
/* A name of a filter, as the end of the annotation that it is. */
bool imap_is_filter_name(const char *, size_t);
void imap_search_clear(struct imap_search *);

/* Folds UTF-8 for comparison; out has room for IMAP_FOLD_SIZE(len). *space: the last
 * octet before was white space. Returns the octets written. */
#define IMAP_FOLD_SIZE(len) ((len)*6 + 1)
size_t imap_fold(const char *in, size_t len, char *out, bool *space);

/* Is text (folded) in a field of that name (NULL: in any field)? */
bool imap_header_find(
    const char *header, size_t len, const char *name, const char *text, size_t text_len);
/* ... in the body, or with headers set also in the message's own header? */
bool imap_text_find(const char *msg, size_t len, const struct mime_tree *, bool headers,
    const char *text, size_t text_len);

#endif
