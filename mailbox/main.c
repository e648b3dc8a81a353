/* SPDX-License-Identifier: ISC */
/*
 * The mailbox process: forked by mboxd for one mailbox, with that mailbox's uid and its
 * directory as root. It serves all sessions of the mailbox, which mboxd passes
 * with their purpose, and says when there are none; mboxd then lets it go.
 */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/compat/compat.h"
#include "common/log.h"
#include "common/sandbox.h"
#include "mailbox/fts.h"
#include "mailbox/imap_fetch.h"
#include "mailbox/quota_asks.h"
#include "mailbox/session.h"
#include "mailbox/site.h"
#include "mailbox/shares.h"
#include "mailbox/url_asks.h"
#include "mailbox/store.h"

#define FLUSH_MS 1000
#define FLUSH_BUSY_MS 50 /* while there is work put off */
#define FILES_MAX 4096

static struct {
	struct event_base *base;
	struct channel *mboxd;
	struct channel *logd;
	struct store *store;
	struct event *ev_flush;
	struct event *ev_linger;
	struct timeval linger;
	uint64_t sleep_ms; /* 0: never */
	const char *name;
	const char *hostname;
	uint64_t taken; /* sessions, also those that could not be served */
	size_t sessions;
	int yields; /* mboxd wants the place: without a session it goes at once */
	uint64_t quota;
	uint64_t quota_messages;
	struct msg_mbox_used used; /* as mboxd knows it */
	int told;
	int quota_hard;
	uint32_t message_limit, save_limit;
	int dirfd;
	int stopping;
	int log_asked;
} me;

/* How full we are is known to who answers at RCPT. */
static void
say_used(void)
{
	struct msg_mbox_used u;

	if (me.store == NULL || me.mboxd == NULL)
		return;
	u.octets = store_used(me.store);
	u.messages = store_messages(me.store);
	if (me.told && u.octets == me.used.octets && u.messages == me.used.messages)
		return;
	if (channel_send(me.mboxd, MSG_MAILBOX_MBOXD_USED, 0, &u, -1) == 0) {
		me.used = u;
		me.told = 1;
	}
}

static void
stop(const char *why)
{
	if (me.stopping)
		return;
	me.stopping = 1;
	say_used();
	log_debug("%s: ends: %s", me.name, why);
	imap_sessions_stop();
	pop3_sessions_stop();
	sieve_sessions_stop();
	channel_sessions_stop();
	event_base_loopbreak(me.base);
}

static void
say_idle(void)
{
	struct msg_mbox_idle idle = { .sessions_taken = me.taken };

	say_used();
	if (me.sessions == 0 && !me.stopping && me.mboxd != NULL)
		(void)channel_send(me.mboxd, MSG_MAILBOX_MBOXD_IDLE, 0, &idle, -1);
}

static void
rest(int fd, const uint8_t *octets, size_t len)
{
	struct msg_mbox_rest m = { .state = octets, .state_len = len };

	if (fd != -1)
		(void)channel_send(me.mboxd, MSG_MAILBOX_MBOXD_REST, 0, &m, fd);
}

/* All sessions wait: mboxd keeps them, and starts another process when there is work. */
static void
go_to_sleep(uint64_t quiet_ms)
{
	if (me.sleep_ms == 0 || me.sessions == 0 || me.stopping || me.mboxd == NULL ||
	    (me.store != NULL && store_busy(me.store)))
		return;
	/* What is done at the end must not look like news to the watch. */
	if (me.store != NULL)
		store_flush(me.store);
	if (imap_sessions_rest(me.sessions, quiet_ms, rest) == 0)
		say_idle();
}

static void
on_linger(evutil_socket_t fd, short what, void *arg)
{
	say_idle();
}

static void
session_ended(void *arg)
{
	if (--me.sessions > 0 || me.stopping)
		return;
	event_add(me.ev_linger, &me.linger);
	if (me.yields)
		say_idle();
}

/* The store is opened when it is first needed, so that a failure is tried again. */
static int
open_store(void)
{
	enum store_error error;
	struct stat st;

	if (me.store != NULL)
		return 0;
	if (fstat(me.dirfd, &st) == -1 || st.st_nlink == 0) {
		log_warnx("%s: the mailbox directory is gone", me.name);
		return -1;
	}
	if ((error = store_open(me.dirfd, me.quota, &me.store)) != STORE_OK) {
		log_warnx("%s: cannot be opened: %s", me.name, store_error_text(error));
		return -1;
	}
	store_set_quota(me.store, me.quota, me.quota_messages);
	return 0;
}

static void
set_quota(uint64_t octets, uint64_t messages, int hard)
{
	me.quota = octets;
	me.quota_messages = messages;
	me.quota_hard = hard;
	if (me.store != NULL)
		store_set_quota(me.store, octets, messages);
}

static struct store *
opened_store(void)
{
	return open_store() == -1 ? NULL : me.store;
}

/* Is there what opening would make? One that is new is made by the first session. */
static int
is_made(void)
{
	return faccessat(me.dirfd, "Maildir", F_OK, 0) == 0 &&
	       faccessat(me.dirfd, "index/data.mdb", F_OK, 0) == 0;
}

/* Somebody may have removed files behind our back: what is there counts, not the index.
 */
static void
look_at_files(void)
{
	struct folder_info *list;
	struct folder *f;
	size_t n;

	if (store_list(me.store, &list, &n) != STORE_OK)
		return;
	for (size_t i = 0; i < n; i++)
		if ((list[i].flags & FOLDER_NOSELECT) == 0 &&
		    folder_open(me.store, list[i].name, &f) == STORE_OK) {
			(void)folder_refresh(f);
			folder_close(f);
		}
	free(list);
	me.told = 0;
	say_used();
}

static void
session_start(struct msg *m)
{
	const struct msg_mbox_label *label = &m->p.mbox_label;
	int fd = msg_take_fd(m), r = -1;

	me.taken++;
	event_del(me.ev_linger);
	/* Of IMAP by the first command that needs it. */
	if (me.stopping ||
	    ((label->purpose != MBOX_IMAP || !is_made()) && open_store() == -1)) {
		close(fd);
		if (me.sessions == 0)
			event_add(me.ev_linger, &me.linger);
		return;
	}
	/* authd may have another by now; mboxd does not know it when root asks. */
	if (label->purpose != MBOX_ADMIN) {
		set_quota(label->quota, label->quota_messages, label->quota_hard);
		me.message_limit = label->message_limit;
		me.save_limit = label->save_limit;
	}
	/* mboxd asks for nothing but that (cells_look()). */
	if (label->purpose == MBOX_ADMIN && label->address[0] == '\0')
		look_at_files();
	switch (label->purpose) {
	case MBOX_IMAP:
	case MBOX_SHARED:
		r = imap_session_start(
		    me.base, fd, opened_store, label, session_ended, NULL);
		break;
	case MBOX_POP3:
		r = pop3_session_start(me.base, fd, me.store, label, session_ended, NULL);
		break;
	case MBOX_SIEVE:
		r = sieve_session_start(
		    me.base, fd, me.store, label, session_ended, NULL);
		break;
	case MBOX_DELIVER:
		r = deliver_session_start(
		    me.base, fd, me.store, label, session_ended, NULL);
		break;
	case MBOX_URLAUTH:
		r = url_session_start(me.base, fd, me.store, label, session_ended, NULL);
		break;
	case MBOX_ADMIN:
		r = admin_session_start(
		    me.base, fd, me.store, label, session_ended, NULL);
		break;
	default:
		log_warnx("%s: a session of unknown purpose %u", me.name, label->purpose);
		close(fd);
		break;
	}
	if (r == 0)
		me.sessions++;
	else if (me.sessions == 0)
		event_add(me.ev_linger, &me.linger);
}

static void
session_go_on(struct msg *m)
{
	int fd = msg_take_fd(m);

	me.taken++;
	event_del(me.ev_linger);
	if (me.stopping || open_store() == -1)
		close(fd);
	else if (imap_session_wake(me.base, fd, opened_store, m->p.mbox_rest.state,
		     m->p.mbox_rest.state_len, session_ended, NULL) == 0)
		me.sessions++;
	if (me.sessions == 0)
		event_add(me.ev_linger, &me.linger);
}

static void
logd_lost(struct channel *ch, const char *why, void *arg)
{
	if (me.logd == ch) {
		me.logd = NULL;
		log_set_channel(NULL);
		log_set_stderr(0);
	}
}

/* Few have anything to log, so that mboxd gives the channel when it is wanted. */
static void
log_wanted(void)
{
	struct msg_none none;

	if (me.log_asked || me.mboxd == NULL)
		return;
	me.log_asked = 1;
	(void)channel_send(me.mboxd, MSG_MAILBOX_MBOXD_LOG, 0, &none, -1);
}

static void
no_message(struct channel *ch, struct msg *m, void *arg)
{
}

static void
logd_take(int fd)
{
	if (me.logd != NULL) {
		log_set_channel(NULL);
		channel_free(me.logd);
	}
	me.logd = channel_new(
	    me.base, fd, ROLE_MAILBOX, 0, ROLE_LOGD, no_message, logd_lost, NULL);
	if (me.logd != NULL)
		log_set_channel(me.logd);
}

static void
mboxd_message(struct channel *ch, struct msg *m, void *arg)
{
	switch (m->type) {
	case MSG_MBOXD_MAILBOX_SESSION:
		session_start(m);
		break;
	case MSG_MBOXD_MAILBOX_SCRIPTS:
		(void)site_take(m->fd, m->p.site_scripts.size);
		break;
	case MSG_MBOXD_MAILBOX_LIMITS:
		set_quota(m->p.mbox_limits.quota, m->p.mbox_limits.quota_messages,
		    m->p.mbox_limits.quota_hard);
		break;
	case MSG_MBOXD_MAILBOX_LOG:
		logd_take(msg_take_fd(m));
		break;
	case MSG_MBOXD_MAILBOX_GO_ON:
		session_go_on(m);
		break;
	case MSG_MBOXD_MAILBOX_YIELD:
		go_to_sleep(0);
		me.yields = me.sessions > 0;
		say_idle();
		break;
	case MSG_MBOXD_MAILBOX_EXIT:
		stop("told by mboxd");
		break;
	default:
		break;
	}
}

static void
mboxd_lost(struct channel *ch, const char *why, void *arg)
{
	me.mboxd = NULL;
	shares_mboxd_gone();
	url_asks_init(NULL);
	quota_asks_init(NULL);
	stop("mboxd is gone");
}

static void
on_flush(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval slow = { FLUSH_MS / 1000, 0 },
				    fast = { 0, FLUSH_BUSY_MS * 1000 };
	int more = 0;

	if (me.store != NULL) {
		store_flush(me.store);
		more = store_busy(me.store) | fts_work(me.store);
		say_used();
		shares_tell(me.store);
	}
	if (!more)
		go_to_sleep(me.sleep_ms);
	event_add(me.ev_flush, more ? &fast : &slow);
}

int
session_quota_hard(void)
{
	return me.quota_hard;
}

void
session_limits(uint32_t *message, uint32_t *save)
{
	*message = me.message_limit;
	*save = me.save_limit;
}

const char *
session_hostname(void)
{
	return me.hostname != NULL ? me.hostname : "localhost";
}

static int
cell_enter(const struct mailbox_start *start)
{
	struct sandbox sandbox = { .role = ROLE_MAILBOX,
		.root = start->root,
		.uid = start->uid,
		.gid = start->uid,
		.files_max = FILES_MAX };
	const char *what = "";

	if (sandbox_enter(&sandbox, &what) == -1) {
		log_warn("%s: sandbox: %s", start->name, what);
		return -1;
	}
	if ((me.dirfd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1) {
		log_warn("%s: root directory", start->name);
		return -1;
	}
	return 0;
}

void
mailbox_main(const struct mailbox_start *start)
{
	static const struct timeval first = { FLUSH_MS / 1000, 0 };
	struct event_config *cfg;

	log_init("mailbox", start->debug);
	signal(SIGPIPE, SIG_IGN);
	me.name = start->name;
	me.hostname = start->hostname;
	me.quota = start->quota;
	me.quota_messages = start->quota_messages;
	me.quota_hard = start->quota_hard;
	me.message_limit = start->message_limit;
	me.save_limit = start->save_limit;
	me.linger.tv_sec = (time_t)start->linger_s;
	me.sleep_ms = (uint64_t)start->sleep_s * 1000;
	/* Nothing is read from anybody before this. */
	if (cell_enter(start) == -1)
		_exit(1);
	if ((cfg = event_config_new()) == NULL)
		_exit(1);
	event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV);
	me.base = event_base_new_with_config(cfg);
	event_config_free(cfg);
	if (me.base == NULL)
		_exit(1);
	me.ev_flush = event_new(me.base, -1, 0, on_flush, NULL);
	me.ev_linger = event_new(me.base, -1, 0, on_linger, NULL);
	me.mboxd = channel_new(me.base, start->mboxd_fd, ROLE_MAILBOX, 0, ROLE_MBOXD,
	    mboxd_message, mboxd_lost, NULL);
	if (me.ev_flush == NULL || me.ev_linger == NULL || me.mboxd == NULL ||
	    event_add(me.ev_flush, &first) == -1)
		_exit(1);
	log_set_wanted(log_wanted);
	url_asks_init(me.mboxd);
	quota_asks_init(me.mboxd);
	store_set_learn(imap_learn);
	shares_init(me.base, me.mboxd, start->other_users);
	(void)event_base_dispatch(me.base);
	store_close(me.store);
	if (me.mboxd != NULL)
		channel_flush(me.mboxd, 200);
	if (me.logd != NULL)
		channel_flush(me.logd, 200);
	log_spill();
	_exit(0);
}
