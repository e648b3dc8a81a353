/* SPDX-License-Identifier: ISC */
#ifndef FIFE_IMAP_TRANSFER_H
#define FIFE_IMAP_TRANSFER_H

/*
 * Between the files of COPY and MOVE from one mailbox to another (imap_share.h):
 * imap_transfer.c is what is done in which order, imap_transfer_read.c reads what other
 * mailboxes answer.
 */

#include "mailbox/imap_share.h"

#define TRANSFER_BATCH 50

struct transfer_one {
	uint32_t uid;
	uint32_t new_uid;
	struct append *append; /* to the own mailbox */
	uint8_t flags;
	uint64_t keywords;
	int64_t internal;
	int zone;
};

struct transfer {
	struct imap_task task;
	struct imap_link *from, *to; /* NULL: the own mailbox */
	char *set;
	char name[STORE_NAME_MAX + 1];
	bool move, uid;
	struct folder *folder; /* the own one, when it is the target */
	uint32_t *uids;        /* what is to be copied */
	size_t n, at;
	bool cut; /* the source told only a part of them (RFC 9738) */
	struct transfer_one batch[TRANSFER_BATCH];
	size_t n_batch, i; /* i: the one under way */
	enum {
		TRANSFER_AT_OPENING,
		TRANSFER_AT_RIGHTS,  /* of a source that is to lose messages */
		TRANSFER_AT_LISTING, /* the UIDs of a remote source */
		TRANSFER_AT_NEXT,    /* begin with a batch, or it is over */
		TRANSFER_AT_HEAD,    /* what stands before the message */
		TRANSFER_AT_SIGN,    /* the target's word that it may come */
		TRANSFER_AT_BODY,
		TRANSFER_AT_TAIL,
		TRANSFER_AT_COMMIT,
		TRANSFER_AT_REMOVE, /* from the source */
	} state;
	unsigned int asked, append_tag; /* our commands at source and target */
	uint64_t left;                  /* octets of the message */
	struct content content;
	bool have_content;
	struct evbuffer *line;
	uint32_t uidvalidity;
	uint32_t *from_uids, *new_uids; /* all that has arrived */
	size_t n_arrived;
	char why[256]; /* the reply's NO; "" */
	bool rights;
	bool gone;     /* some message was not there any more */
	bool draining; /* it has failed: asked is the last that is read */
};

/* The messages of the batch from the one under way up to that one are gone. */
void transfer_skip(struct transfer *, size_t to);
/* Remembers why, unless there is a reason already. Always -1. */
int transfer_failed(struct transfer *, const char *why);
extern const char transfer_lost[], transfer_broken[];
bool transfer_is_uidonly(const struct imap *);

enum transfer_line {
	TRANSFER_WAIT,
	TRANSFER_FAILED,
	TRANSFER_UNTAGGED, /* with its line end in x->line, up to a literal */
	TRANSFER_PLUS,
	TRANSFER_OK,
	TRANSFER_NO,
};
/*
 * The next line of an answer to our own command of that number. Lines for the client pass
 * on their way: about the selected mailbox. wanted: the word of those that are for us, or
 * NULL.
 */
enum transfer_line transfer_line(
    struct transfer *, struct imap_link *, unsigned int number, const char *wanted);
/* What a NO says that was read last. Always -1. */
int transfer_refused(struct transfer *);

/* Each of these reads one answer. 1: wait; 0: it was as it should be; -1: failed. */
int transfer_list(struct transfer *);
int transfer_read_rights(struct transfer *);
int transfer_removed(struct transfer *);
int transfer_commit(struct transfer *);
/* A FETCH whose last item is the message, which has been read up to that. 0 or -1. */
int transfer_read_head(struct imap *, struct transfer *, char *flags, size_t cap,
    char *date, size_t date_cap);
void transfer_ask_rights(struct imap *, struct transfer *);

/* The batch is stored, with its new UIDs. 0 or -1. */
int transfer_arrived(struct transfer *);

#endif
