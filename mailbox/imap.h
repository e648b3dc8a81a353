/* SPDX-License-Identifier: ISC */
#ifndef FIFE_IMAP_H
#define FIFE_IMAP_H

/*
 * One IMAP session on a mailbox, from the authenticated state on (RFC 3501, RFC 9051):
 * bytes in, bytes out, no socket. The first half of this file is for the session's shell
 * (imap_session.c, session_conn.h) and tests, the second for the command files
 *imap_cmd_*.c.
 *
 *	AUTHENTICATED --SELECT/EXAMINE--> SELECTED --CLOSE/UNSELECT--> AUTHENTICATED
 *	      any --LOGOUT, error--> ENDED
 *
 * Commands run one after another. A long one (FETCH, SEARCH) is a task that is stepped by
 * imap_run() in slices, as long as the unsent output is below IMAP_HIGH_WATER;
 * the next command waits for it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/imap/imap_capability.h"
#include "common/imap/imap_lex.h"
#include "common/imap/imap_parse.h"
#include "mailbox/imap_set.h"
#include "mailbox/store.h"

struct evbuffer;
struct imap;

#define IMAP_HIGH_WATER (256 * 1024)
#define IMAP_BAD_MAX 50 /* BAD replies in a row until the session ends */

/* Borrows the store; NULL: one that is opened by what imap_set_opener() sets, by the
 * first command that needs it. wake is called when imap_run() has something to do that
 * did not come by imap_input() (another session's change during IDLE); not re-entrantly
 * meant: set an event. NULL: no memory. */
struct imap *imap_new(struct store *, void (*wake)(void *), void *arg);
/* open: gives the store, which is borrowed, or NULL where it cannot be: BYE. */
void imap_set_opener(struct imap *, struct store *(*open)(void *), void *arg);
void imap_free(struct imap *);
/* Takes octets up to the end of a command; returns how many (the rest must be given again
 * after imap_run() has brought it forward). */
size_t imap_input(struct imap *, const uint8_t *, size_t);
/* Brings the running command forward. unsent: octets that left imap_output() but
 * are not with the client yet. Returns nonzero when there is more to do at once. */
int imap_run(struct imap *, size_t unsent);
/* Takes input now: no task runs. */
int imap_idle(const struct imap *);
struct evbuffer *imap_output(struct imap *);
int imap_ended(const struct imap *);
/* It ended so that the client can log in anew (RFC 8437): input that was not taken is
 * the front's. */
int imap_unauthenticated(const struct imap *);
/* A number that changes when other folders are to be watched for changes from outside,
 * in IDLE or by NOTIFY; 0: none. */
unsigned int imap_watched(const struct imap *);
/* cb for each of them; "" is the list of folders. */
void imap_watch_each(struct imap *, void (*cb)(const char *name, void *), void *arg);
/* Looks for such changes; everywhere: also in other folders than the selected one. */
void imap_poll(struct imap *, bool everywhere);
/* 1, once: what follows the output that is there now is compressed, and so is the input
 * that was not taken yet (RFC 4978). */
int imap_take_compress(struct imap *);
/*
 * The session is another user's, who sees what he was granted (RFC 4314): identifiers are
 * those by which he is known, a line each; prefix stands before names that are told to
 * him, "Other Users/alice@example.test". To be called at once. -1: no memory.
 */
int imap_set_guest(struct imap *, const char *prefix, const char *identifiers);
/* The owner's address, for lists of rights. Borrowed. */
void imap_set_owner(struct imap *, const char *address);
/* To be called at once; otherwise nothing is offered. */
void imap_set_offer(struct imap *, const struct imap_offer *);
/* By what authd knows the session's login, for what it may beyond its own mailbox. */
void imap_set_login(struct imap *, uint64_t login);
/* "* BYE": the process ends. */
void imap_bye(struct imap *, const char *text);

/* ---- for command files ---- */

enum imap_state {
	IMAP_AUTHENTICATED = 1,
	IMAP_SELECTED = 2,
	IMAP_ENDED = 4
};

/* What the client has enabled (RFC 5161), or shown that it knows. */
enum imap_enabled {
	IMAP_CONDSTORE = 1,
	IMAP_QRESYNC = 2,
	IMAP_UTF8 = 4,
	IMAP_REV2 = 8,
	IMAP_UIDONLY = 16,
};
/* A message number under UIDONLY (RFC 9586). */
#define IMAP_UIDREQUIRED "[UIDREQUIRED] Message numbers are not used in this session"

struct imap_view_entry {
	uint32_t uid;
	uint8_t recent;
};

struct imap_task {
	/* 1: more to do; 0: done, has replied. */
	int (*step)(struct imap *, struct imap_task *, size_t unsent);
	void (*free)(struct imap_task *);
	/* How far it is; NULL: it may not be interrupted by a response. */
	void (*progress)(struct imap_task *, size_t *done, size_t *goal);
};

struct imap_append;  /* imap_cmd_append.c */
struct imap_guest;   /* imap_rights.h */
struct imap_share;   /* imap_share.h */
struct imap_context; /* imap_context.h */
struct imap_notify;  /* imap_notify.h */

/* A new message to be fetched unasked, and who wants that. */
struct imap_announced {
	uint32_t uid;
	unsigned int sources;
};

struct imap {
	struct store *store;
	struct store *(*open)(void *);
	void *open_arg;
	struct evbuffer *out;
	struct imap_lex lex;
	enum imap_state state;
	void (*wake)(void *);
	void *wake_arg;
	unsigned int bad; /* in a row */
	unsigned int enabled;
	struct imap_guest *guest; /* NULL: the owner */
	const char *owner;        /* his address, or NULL */
	struct imap_share *share; /* of other users' mailboxes; NULL: there are none */
	bool waiting;             /* the task is, for something from outside */
	struct imap_offer offer;  /* what this session may */
	uint64_t login;           /* of offer.quotaset */
	int64_t progress_ms;      /* after so long a client is told of progress */
	int64_t progress_last;    /* when the task began, or was told of; monotonic */

	/* the running command */
	char tag[IMAP_TAG_MAX + 1];
	bool uid;        /* it is UID ... */
	bool no_expunge; /* it may not tell of expunged messages (RFC 9051, 7.5.1) */
	bool expunges;   /* it does so as its result */
	bool busy;       /* at work for the client: changes are its own */
	uint32_t cut_at; /* the lowest UID that it works on, 0: on all (imap_limit.h) */
	struct imap_task *task;
	struct imap_append *append;
	bool unauthenticated;
	bool idling;
	bool woken;
	enum {
		IMAP_PLAIN,
		IMAP_SWITCHING,
		IMAP_COMPRESSED
	} compress;

	/* the selected folder */
	struct folder *folder;
	struct folder_watch *watch;
	bool readonly;
	uint32_t url_resets;          /* that were told */
	struct imap_view_entry *view; /* what the client knows, by sequence number - 1 */
	size_t n_view, view_cap;
	bool view_same; /* view is not made: it is the first n_view of the folder */
	uint32_t *view_recent; /* then: places of the recent ones, ascending */
	size_t n_view_recent;
	uint64_t modseq;      /* flags up to here were told */
	uint64_t walked;      /* the view was compared with the folder at this modseq */
	bool expunge_pending; /* the view holds messages that are gone */
	int n_keywords;       /* told in FLAGS */
	uint32_t *saved; /* the result of SEARCH that was saved (RFC 5182), ascending */
	size_t n_saved;
	struct imap_context *contexts;

	struct imap_notify *notify; /* NULL: NOTIFY was never said */
	struct imap_announced *announced;
	size_t n_announced;
	unsigned int notify_version;
	unsigned int watched; /* changes with what is to be watched */
};

typedef void (*imap_command_fn)(struct imap *, struct imap_args *);

/* Replies. imap_ok() and imap_no() tell of changes first. */
void imap_untagged(struct imap *, const char *, ...)
    __attribute__((format(printf, 2, 3)));
void imap_ok(struct imap *, const char *, ...) __attribute__((format(printf, 2, 3)));
void imap_no(struct imap *, const char *, ...) __attribute__((format(printf, 2, 3)));
void imap_bad(struct imap *, const char *);
/* OK, with HIGHESTMODSEQ when something was changed and the client knows what that is. */
void imap_ok_modseq(struct imap *, const char *text, bool changed);
/* NO with the response code that suits (RFC 5530). */
void imap_no_store(struct imap *, enum store_error);
/* Opens the store if it is not open yet; false: it cannot be, and BYE was said. */
bool imap_has_store(struct imap *);
void imap_set_task(struct imap *, struct imap_task *); /* takes it */
/* From now on the client is told of modification sequences (RFC 7162, 3.1). */
void imap_use_condstore(struct imap *);

/* imap_view.c */
/* Takes the reference of folder. -1: no memory, folder is closed. */
int imap_view_open(struct imap *, struct folder *, bool readonly);
void imap_view_close(struct imap *);
/* Tell of new, changed and (when allowed) expunged messages. */
void imap_view_sync(struct imap *, bool expunge);
/* FLAGS, when there are keywords that the client does not know. */
void imap_view_tell_keywords(struct imap *);
/* Of what has sequence number i + 1; i < n_view. */
uint32_t imap_view_uid(const struct imap *, size_t i);
bool imap_view_recent(const struct imap *, size_t i);
uint32_t imap_view_last(const struct imap *); /* its highest UID, or 0 */
/* Before view is changed. -1: no memory, and the session ends. */
int imap_view_make(struct imap *);
/* Sequence number of a UID, 0 when it is not in the view. */
uint32_t imap_view_seq(const struct imap *, uint32_t uid);
/* The messages of a set as ascending UIDs (malloc'd), by s->uid. -1 with error: a
 * sequence number that does not exist, or no memory. */
int imap_view_select(
    struct imap *, struct imap_set *, uint32_t **uids, size_t *n, const char **error);
/* "* 5 FETCH (", or by UID. The message is in the view, or uid is used for both. */
void imap_print_fetch(struct imap *, uint32_t uid, struct evbuffer *);
/* VANISHED for n > 0 UIDs. */
void imap_print_vanished(struct imap *, const uint32_t *uids, size_t n, bool earlier);
/* "FLAGS (...)" of a message, for the client: without keywords that it was not told in
 * FLAGS; imap_view_sync() tells both later. */
void imap_print_flags(struct imap *, const struct message *);
void imap_print_all_flags(struct imap *, const struct message *, struct evbuffer *);
void imap_print_flag_list(struct imap *, const char *before, const char *after);
/* Those that this session may change (RFC 4314, 5.1.1). */
void imap_print_permanent_flags(struct imap *);
/* LIST of the selected mailbox: IMAP4rev2 tells it at SELECT. */
void imap_print_selected_list(struct imap *);
/* LIST of a mailbox that may not be there (any more), for NOTIFY. */
void imap_print_list_of(
    struct imap *, const char *name, const char *old, bool subscription);

/* imap_name.c: names between wire and store. */
/* Parse a mailbox name; -1 with a->error, or with *no set: NO must be said. */
int imap_mailbox(
    struct imap *, struct imap_args *, char name[STORE_NAME_MAX + 1], const char **no);
/* The same of a string that was read already. */
void imap_mailbox_name(struct imap *, const struct imap_str *,
    char name[STORE_NAME_MAX + 1], const char **no);
void imap_print_mailbox(struct imap *, const char *name);
void imap_print_mailbox_to(struct imap *, const char *name, struct evbuffer *);
/* Names are UTF-8 on the wire (RFC 6855, 3; RFC 9051, 5.1). */
bool imap_names_are_utf8(const struct imap *);
/* Quoted string or literal, whatever fits. */
void imap_print_string(struct evbuffer *, const char *, size_t);
void imap_print_nstring(struct evbuffer *, const char *); /* NULL: NIL */
/* Flags in parentheses or bare: system bits and keyword bits (created when create is
 * set). */
int imap_flags(struct imap_args *, struct folder *, bool create, uint8_t *flags,
    uint64_t *keywords, bool *no_room);

/* imap_cmd_append.c, called by the engine at an announced literal. 1: it is the
 * message, streaming or refused; 0: some other literal. */
int imap_append_literal(struct imap *);
void imap_append_data(struct imap *, const uint8_t *, size_t);
void imap_append_finish(struct imap *); /* the command is complete */
void imap_append_drop(struct imap *);

/* imap_cmd_quota.c: a root that authd is asked about, for an administrator? */
bool imap_quota_is_asked(const struct imap *, const char *root);

/* imap_cmd_idle.c */
void imap_idle_line(struct imap *, const char *, size_t);

/* clang-format off */
#define IMAP_COMMANDS(X) \
	X(capability) X(noop) X(logout) X(id) X(enable) X(namespace) \
	X(check) X(list) X(lsub) X(select) X(examine) X(status) \
	X(fetch) X(store) X(search) X(sort) X(thread) X(append) X(replace) X(copy) X(move) \
	X(expunge) X(close) X(unselect) X(create) X(delete) X(rename) \
	X(subscribe) X(unsubscribe) X(idle) X(compress) \
	X(getquota) X(getquotaroot) X(setquota) \
	X(getmetadata) X(setmetadata) X(cancelupdate) X(unauthenticate) X(notify) X(esearch) \
	X(setacl) X(deleteacl) X(getacl) X(listrights) X(myrights) \
	X(genurlauth) X(resetkey) X(urlfetch)
/* clang-format on */
#define X(name) void imap_cmd_##name(struct imap *, struct imap_args *);
IMAP_COMMANDS(X)
#undef X

#endif
