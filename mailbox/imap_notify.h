/* SPDX-License-Identifier: ISC */
#ifndef FIFE_IMAP_NOTIFY_H
#define FIFE_IMAP_NOTIFY_H

/*
 * NOTIFY (RFC 5465): what a client wants to be told of by itself, in the selected mailbox
 * and elsewhere. News of the store are noted as they happen and told between commands.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mailbox/imap_scope.h"
#include "mailbox/store.h"

struct evbuffer;
struct imap;

#define IMAP_NOTIFY_GROUPS_MAX 50
#define IMAP_NOTIFY_NEWS_MAX 1000      /* not told yet; more are an overflow */
#define IMAP_NOTIFY_MESSAGES_MAX 20000 /* to be fetched for the client */

enum imap_notify_event {
	IMAP_EVENT_NEW = 1,
	IMAP_EVENT_EXPUNGE = 2,
	IMAP_EVENT_FLAGS = 4,
	IMAP_EVENT_NAME = 8,
	IMAP_EVENT_SUBSCRIPTION = 16,
	IMAP_EVENT_METADATA = 32,
	IMAP_EVENT_SERVER_METADATA = 64,
};
#define IMAP_EVENTS_MESSAGE (IMAP_EVENT_NEW | IMAP_EVENT_EXPUNGE | IMAP_EVENT_FLAGS)

struct imap_notify_group {
	struct imap_scope scope;
	unsigned int events; /* 0: NONE */
};

struct imap_notify_news {
	struct imap_notify_news *next;
	enum store_news_kind kind;
	unsigned int changes; /* FOLDER_NEWS_* */
	char *name, *old, *entries;
};

struct imap_notify {
	struct store_watch *watch;
	struct imap_notify_group groups[IMAP_NOTIFY_GROUPS_MAX];
	size_t n_groups;
	unsigned int selected; /* events of the selected mailbox */
	bool delayed;          /* expunges wait for a command */
	char *attributes;      /* to be fetched of new messages, or NULL */
	struct imap_notify_news *news, **news_end;
	size_t n_news;
	bool overflow;
	uint32_t uidnext; /* of the selected mailbox, at the last news of it */
};

/* Events of the selected mailbox that are told; all when NOTIFY was never said. */
unsigned int imap_notify_selected(const struct imap *);
/* Events of another mailbox. */
unsigned int imap_notify_events(const struct imap *, const char *name);
/* Another mailbox is selected now, or none. */
void imap_notify_view_changed(struct imap *);
/* Are there news that can be told now? */
bool imap_notify_pending(const struct imap *);
/* Tells them. */
void imap_notify_tell(struct imap *);
void imap_notify_free(struct imap *);
/* The arguments of a NOTIFY for the selected mailbox alone: for another process that has
 * it. */
void imap_notify_print_selected(const struct imap *, struct evbuffer *);

/* ---- messages to be fetched unasked (imap_announce.c) ---- */

/* What asks for it: NOTIFY, or a context (imap_context.h) by its number from 1. */
#define IMAP_ANNOUNCE_NOTIFY 0
/* false: there are too many. */
bool imap_announce_add(struct imap *, uint32_t uid, unsigned int source);
/* Starts a task when there is one to be fetched. */
void imap_announce_start(struct imap *);
void imap_announce_forget(struct imap *);
/* "(" items ")" that were checked, as text without the parentheses; malloc'd. NULL with
 * a->error. */
char *imap_announce_parse(struct imap_args *);

#endif
