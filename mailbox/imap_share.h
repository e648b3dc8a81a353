/* SPDX-License-Identifier: ISC */
#ifndef FIFE_IMAP_SHARE_H
#define FIFE_IMAP_SHARE_H

/*
 * Other users' mailboxes in a session. Their folders are named PREFIX/OWNER/FOLDER, and
 * the owner's process serves them: there is a link to a session of it that is a guest's
 * (imap_rights.h), to which commands go as the client wrote them. What comes back is
 * passed on as far as it may concern the client: the other process may say what it likes
 * about its own mailbox, and nothing else.
 *
 *	imap_share.c		links, and what passes over them
 *	imap_remote.c		which commands go there
 *	imap_remote_append.c	APPEND and REPLACE, whose messages are not held
 *	imap_transfer*.c	COPY and MOVE from one mailbox to another
 *	imap_share_list.c	LIST and STATUS of all of them
 *
 * A link that breaks takes with it what was selected there: commands on that are answered
 * with NO until the client selects another mailbox.
 */

#include <sys/queue.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mailbox/imap.h"
#include "mailbox/imap_reply.h"
#include "mailbox/imap_rights.h"

/* Of all identifiers that a mailbox is shared with; one message to authd holds them. */
#define IMAP_SHARE_IDENTIFIERS_MAX 12000
#define IMAP_SHARE_PREFIX_MAX 63
#define IMAP_SHARE_OWNERS_MAX 1000
#define IMAP_SHARE_FOLDERS_MAX 20000
/* Nothing came of a link for so long in a command: it is given up. */
#define IMAP_SHARE_PATIENCE_MS 120000
/* LIST and STATUS go on without an owner's process that is silent for so long, and wait
 * for all of them no longer than that. */
#define IMAP_SHARE_LIST_MS 15000
#define IMAP_SHARE_LIST_ALL_MS 45000
#define IMAP_SHARE_HIGH_WATER (256 * 1024)
#define IMAP_SHARE_OWNER_MAX (ADDRESS_MAX * 3) /* in the form of a name */

struct imap_link {
	LIST_ENTRY(imap_link) entry;
	struct imap *imap;
	char owner[ADDRESS_MAX + 1];
	char prefix[IMAP_GUEST_PREFIX_MAX + 1]; /* of its folders' names, in UTF-8 */
	enum {
		IMAP_LINK_ASKED,
		IMAP_LINK_OPEN,
		IMAP_LINK_REFUSED, /* there is nothing for this user */
		IMAP_LINK_LOST
	} state;
	struct evbuffer *in, *out;
	void *conn; /* the provider's */
	struct imap_reply reply;
	bool dropping;         /* the rest of a response */
	unsigned int enabled;  /* what the other side was told (RFC 5161) */
	unsigned int notified; /* which NOTIFY it was told (RFC 5465); 0: none */
	unsigned int serial;   /* of our own commands */
	unsigned int skip; /* all up to the completion of that one is nobody's; or 0 */
	bool idle_sent;    /* it is in IDLE */
	int64_t used_ms;   /* monotonic */
};

/* Who brings links about: the mailbox process (shares.h), or a test. */
struct imap_share_ops {
	/* imap_share_owners() follows. -1: it cannot be asked. */
	int (*ask_owners)(void *arg);
	/* imap_share_opened() follows. -1: it cannot be asked. */
	int (*open)(void *arg, struct imap_link *);
	/* Nobody wants it any more; it is freed after this. */
	void (*close)(void *arg, struct imap_link *);
	/* There is something in out. */
	void (*flush)(void *arg, struct imap_link *);
	/* What has come into in. 1: there is more now; 0: not yet. */
	int (*more)(void *arg, struct imap_link *);
	/* Whom the mailbox is shared with has changed: imap_share_told() follows, when
	 * that has been recorded or not. -1: nobody is to be told. */
	int (*tell)(void *arg);
	/* The session is over. */
	void (*forget)(void *arg);
};

struct imap_shared_folder {
	char *name; /* with its prefix */
	uint32_t flags;
	unsigned int rights;
};

struct imap_remote_append;

struct imap_share {
	const struct imap_share_ops *ops;
	void *arg;
	char prefix[IMAP_SHARE_PREFIX_MAX + 1]; /* "": none but the session's own */
	LIST_HEAD(, imap_link) links;
	size_t n_links;
	struct imap_link *selected;
	char selected_name[STORE_NAME_MAX + 1];
	bool lost; /* it was selected there */
	struct imap_remote_append *append;

	char **owners; /* who has granted anything */
	size_t n_owners;
	bool owners_asked;
	struct imap_shared_folder *folders; /* of the last LIST, in order of names */
	size_t n_folders;
	bool told;
};

/* ---- for the session's shell and tests ---- */

/* prefix "": other users' mailboxes are not shown. -1: no memory. */
int imap_set_share(
    struct imap *, const struct imap_share_ops *, void *arg, const char *prefix);
void imap_share_free(struct imap *);
/* owners NULL: they cannot be known now. */
void imap_share_owners(struct imap *, const char *const *owners, size_t n);
void imap_share_opened(struct imap_link *, bool refused);
/* There is input, or room for output. */
void imap_share_ready(struct imap_link *);
/* It was open, or asked for. */
void imap_share_lost(struct imap_link *);
void imap_share_told(struct imap *);
/* From time to time: links that nobody needs are closed. */
void imap_share_poll(struct imap *);

/* ---- links, for the files above ---- */

static inline bool
imap_share_is_remote(const struct imap *s)
{
	return s->share != NULL && (s->share->selected != NULL || s->share->lost);
}
int64_t imap_share_now(void); /* monotonic, ms */
/* What came unasked of the selected mailbox has reached the client in part: until its end
 * nothing else can be said, and no command be begun. */
bool imap_share_is_inside(const struct imap *);
/*
 * Whose is that name? 0: the session's own; 1: owner; -1: of the tree of other users, but
 * no folder of any.
 */
int imap_share_whose(const struct imap *, const char *name, char owner[ADDRESS_MAX + 1]);
/* PREFIX/OWNER */
int imap_share_print_owner(
    const struct imap_share *, const char *owner, char *out, size_t cap);
/* The link to an owner, opened when there is none. NULL: no memory, or it cannot be. */
struct imap_link *imap_link_get(struct imap *, const char *owner);
void imap_link_close(struct imap_link *);
void imap_link_write(struct imap_link *, const void *, size_t);
void imap_link_printf(struct imap_link *, const char *, ...)
    __attribute__((format(printf, 2, 3)));
/* What this session has enabled, it has too from here on; unread replies are skipped. */
void imap_link_begin(struct imap_link *);
/* A command of our own, to be read with imap_link_read(). Returns its tag's number. */
unsigned int imap_link_ask(struct imap_link *, const char *, ...)
    __attribute__((format(printf, 2, 3)));
void imap_link_tag(unsigned int number, char out[24]);
/* The rest of a command whose answers nobody reads. What is selected there is lost: the
 * client would not learn what those say of it. */
void imap_link_abandon(struct imap_link *);
/* No mailbox is selected there any more. */
void imap_share_unselect(struct imap *);

/* The next piece of an answer, past what is skipped. It is taken with imap_reply_take().
 */
enum imap_reply_event imap_link_next(struct imap_link *);

enum imap_relay {
	IMAP_RELAY_MORE, /* wait */
	IMAP_RELAY_FULL, /* the client has to read first */
	IMAP_RELAY_PLUS, /* a continuation has come, and is taken */
	IMAP_RELAY_OK,   /* the completion, passed on */
	IMAP_RELAY_NO,
	IMAP_RELAY_LOST,
};
/*
 * Take the response that begins here for the client if it changes its picture of the
 * selected mailbox and is no answer to a command of our own; such ones have one line.
 * false: it is none of those.
 */
bool imap_link_pass_news(struct imap_link *);
/* Drop all up to the completion of the command of our own, but for such. */
enum imap_relay imap_link_drain(struct imap_link *, unsigned int number);
/*
 * Pass on what has come for the client, up to the completion with the tag. about: what
 * may be told of: the selected mailbox too, or only that which names one. done: where
 * the completion goes; NULL: it is dropped.
 */
enum imap_relay imap_link_relay(struct imap_link *, const char *tag, bool about_selected,
    size_t unsent, struct evbuffer *done);

/* A task that waits for a link returns this; it is called again when there is news. */
int imap_share_wait(struct imap *);
/* The task has waited too long, or the link is not there: NO is said. 1: so it is. */
int imap_link_failed(struct imap_link *);

/* ---- the files ---- */

/* imap_remote.c: a complete command. 1: it is dealt with. */
int imap_remote_command(struct imap *);
void imap_remote_idle_line(struct imap *, const char *, size_t);
/* NOTIFY for what is selected there, and its answer. false: nothing is. */
bool imap_remote_notify(struct imap *);
/* What comes without being asked for. */
void imap_remote_news(struct imap *);
void imap_remote_idle_news(struct imap *);
/* Runs text, with the client's tag in it, on the link. */
enum imap_remote_kind {
	IMAP_REMOTE_PLAIN,
	IMAP_REMOTE_SELECT,
	IMAP_REMOTE_CLOSE,
	IMAP_REMOTE_DELETE,
	IMAP_REMOTE_IDLE,
};
void imap_remote_run(struct imap *, struct imap_link *, enum imap_remote_kind,
    const char *name, const char *text, size_t len);

/* imap_remote_append.c: as their namesakes in imap.h. */
int imap_remote_append_literal(struct imap *);
void imap_remote_append_data(struct imap *, const uint8_t *, size_t);
void imap_remote_append_finish(struct imap *);
void imap_remote_append_drop(struct imap *);
bool imap_remote_append_blocked(const struct imap *);
/* The other side may take nothing any more. */
void imap_remote_append_poll(struct imap *);

/* imap_transfer.c: from and to are NULL for the session's own mailbox; set and name as
 * the client wrote them, name in UTF-8. */
void imap_transfer(struct imap *, struct imap_link *from, struct imap_link *to,
    const char *set, const char *name, bool move);

/* imap_share_list.c */
/* What must be known of others for these patterns. */
enum imap_share_level {
	IMAP_SHARE_NOTHING,
	IMAP_SHARE_OWNERS,
	IMAP_SHARE_FOLDERS
};
enum imap_share_level imap_share_level(
    const struct imap *, char *const *patterns, size_t n);
/* Then done(s, arg), also when nothing could be learnt; otherwise only release(arg). */
void imap_share_gather(struct imap *, enum imap_share_level, char *const *patterns,
    size_t n, void (*done)(struct imap *, void *), void (*release)(void *), void *arg);
void imap_share_forget_folders(struct imap_share *);
/* STATUS of mailboxes of others, then the text as OK. Takes the names. */
void imap_share_status(
    struct imap *, char **names, size_t n, unsigned int items, const char *done);
/* The rights that were gathered, 0 for none. */
unsigned int imap_share_rights(const struct imap *, const char *name);

/* imap_cmd_acl.c */
void imap_print_myrights(struct imap *, const char *name);
/* The owners' lists changed: OK with that text once it is recorded. */
void imap_share_tell(struct imap *, const char *done);

#endif
