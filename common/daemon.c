/* SPDX-License-Identifier: ISC */
/*
 * The life of a daemon from exec to exit; see daemon.h. Channels and the control
 * socket that come before START are put aside and opened in the sandbox: no byte
 * of a stranger, be it another process of the suite, is read before.
 */
#include "common/daemon.h"

#include <sys/resource.h>

#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/log.h"
#include "common/sandbox.h"

#define FIFED_FD 3
#define PEERS_MAX 256
#define FILES_MAX 65536
#define MEMORY_MAX (4ull << 30)

struct peer {
	struct channel *ch;
	enum role role;
	uint32_t instance;
	uint64_t used;
	int pending_fd; /* until START */
};

static const struct daemon *self;
static struct event_base *base;
static struct channel *fifed;
static struct msg_conf conf;
static struct peer peers[PEERS_MAX];
static size_t n_peers;
static uint64_t use_counter;
static int pending_ctl = -1;
static struct ctl_server *ctl_server;
static int have_conf;
static int started;
static int stopping;

int64_t
wall_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t
wall_s(void)
{
	return wall_us() / 1000000;
}

const struct msg_conf *
daemon_conf(void)
{
	return &conf;
}

struct event_base *
daemon_base(void)
{
	return base;
}

struct channel *
daemon_peer(enum role role)
{
	struct peer *best = NULL;

	for (size_t i = 0; i < n_peers; i++)
		if (peers[i].role == role && peers[i].ch != NULL &&
		    (best == NULL || peers[i].used < best->used))
			best = &peers[i];
	if (best == NULL)
		return NULL;
	best->used = ++use_counter;
	return best->ch;
}

struct channel *
daemon_peer_instance(enum role role, uint32_t instance)
{
	for (size_t i = 0; i < n_peers; i++)
		if (peers[i].role == role && peers[i].instance == instance)
			return peers[i].ch;
	return NULL;
}

struct channel *
daemon_parent(void)
{
	return fifed;
}

struct channel *
daemon_peer_at(enum role role, unsigned int nth)
{
	for (size_t i = 0; i < n_peers; i++)
		if (peers[i].role == role && peers[i].ch != NULL && nth-- == 0)
			return peers[i].ch;
	return NULL;
}

void
daemon_stopped(void)
{
	event_base_loopbreak(base);
}

static void
peer_message(struct channel *ch, struct msg *m, void *arg)
{
	/* What fifed has said, not what the peer says: authd sends sessions by it. */
	if (channel_instance(ch) != (uint32_t)(uintptr_t)arg) {
		channel_break(ch, "another instance than expected");
		return;
	}
	if (self->peer_message != NULL)
		self->peer_message(ch, m);
}

static void
peer_lost(struct channel *ch, const char *why, void *arg)
{
	struct msg_peer_broken broken = { .role = (uint8_t)channel_role(ch) };
	size_t i;

	for (i = 0; i < n_peers && peers[i].ch != ch; i++)
		;
	if (i < n_peers) {
		broken.instance = peers[i].instance;
		peers[i] = peers[--n_peers];
	}
	/* Not the new one, which may be there before the old one's end is noticed. */
	if (channel_role(ch) == ROLE_LOGD)
		log_set_channel(daemon_peer(ROLE_LOGD));
	else if (self->peer_lost != NULL)
		self->peer_lost(ch);
	/* An end without a fault is the peer's own; fifed sees that itself. */
	if (strcmp(why, "closed") != 0) {
		strlcpy(broken.reason, why, sizeof(broken.reason));
		channel_send(fifed, MSG_ANY_FIFED_PEER_BROKEN, 0, &broken, -1);
	}
}

static void
peer_open(struct peer *p)
{
	int fd = p->pending_fd;

	p->pending_fd = -1;
	p->ch = channel_new(base, fd, self->role, conf.instance, p->role, peer_message,
	    peer_lost, (void *)(uintptr_t)p->instance);
	if (p->ch == NULL) {
		log_warnx("no memory for the channel to %s", role_name(p->role));
		*p = peers[--n_peers];
		return;
	}
	if (p->role == ROLE_LOGD)
		log_set_channel(p->ch);
	if (self->peer_new != NULL)
		self->peer_new(p->ch);
}

static void
peer_add(struct msg *m)
{
	enum role role = (enum role)m->p.channel.role;
	struct peer *p = NULL;

	if (role != ROLE_LOGD && self->role != ROLE_LOGD &&
	    !graph_connected(self->role, role)) {
		log_warnx("fifed gives a channel to %s, which is not in the graph",
		    role_name(role));
		return;
	}
	/* A new channel replaces the one to the same instance. */
	for (size_t i = 0; i < n_peers; i++)
		if (peers[i].role == role && peers[i].instance == m->p.channel.instance)
			p = &peers[i];
	if (p != NULL) {
		if (p->ch != NULL) {
			channel_break(p->ch, "closed");
			p->instance = UINT32_MAX; /* until peer_lost() */
		} else
			close(p->pending_fd);
	}
	if (p == NULL || p->ch != NULL) {
		if (n_peers == PEERS_MAX) {
			log_warnx("too many channels");
			return;
		}
		p = &peers[n_peers++];
	}
	memset(p, 0, sizeof(*p));
	p->role = role;
	p->instance = m->p.channel.instance;
	p->pending_fd = msg_take_fd(m);
	if (started)
		peer_open(p);
}

static void
ctl_open(int fd)
{
	/* It stays the same socket through a reload, and so do the commands on it. */
	if (ctl_server != NULL || self->commands == NULL) {
		close(fd);
		return;
	}
	ctl_server = ctl_server_new(base, fd, self->role, self->commands);
	if (ctl_server == NULL)
		log_warnx("cannot serve the control socket");
}

static void
first_start(void)
{
	struct sandbox sandbox = { .role = self->role };
	const char *what = "";
	struct rlimit files = { FILES_MAX, FILES_MAX };

	(void)setrlimit(RLIMIT_NOFILE, &files);
	if (self->open != NULL && self->open() == -1)
		fatalx("cannot start");
	/* What execd starts needs the whole tree: its root only names the mailboxes. */
	sandbox.root = self->role == ROLE_EXECD ? NULL : conf.root;
	if (self->role != ROLE_MBOXD && self->role != ROLE_EXECD) {
		sandbox.uid = conf.uid;
		sandbox.gid = conf.gid;
	}
	/* lmdb and virus signatures need address space by design. */
	if (self->role == ROLE_SMTPD || self->role == ROLE_IMAPD ||
	    self->role == ROLE_POP3D || self->role == ROLE_SIEVED ||
	    self->role == ROLE_KEYD || self->role == ROLE_DELIVERD_LOCAL ||
	    self->role == ROLE_DELIVERD_REMOTE)
		sandbox.memory_max = MEMORY_MAX;
	if (sandbox_enter(&sandbox, &what) == -1)
		fatal("sandbox: %s", what);
	started = 1;
	for (size_t i = 0; i < n_peers;) {
		size_t before = n_peers;

		if (peers[i].ch == NULL)
			peer_open(&peers[i]);
		if (n_peers == before)
			i++;
	}
	if (self->start != NULL && self->start() == -1)
		fatalx("cannot start in the sandbox");
	if (pending_ctl != -1) {
		ctl_open(pending_ctl);
		pending_ctl = -1;
	}
}

static void
start(uint64_t generation)
{
	struct msg_ready ready = { .generation = generation, .pid = (uint32_t)getpid() };

	if (!have_conf)
		fatalx("START without CONF");
	if (!started)
		first_start();
	else if (self->reload != NULL)
		self->reload();
	/* What the start needed and the work does not. */
	compat_trim();
	channel_send(fifed, MSG_ANY_FIFED_READY, 0, &ready, -1);
}

static void
fifed_message(struct channel *ch, struct msg *m, void *arg)
{
	switch (m->type) {
	case MSG_FIFED_ANY_CONF:
		conf = m->p.conf;
		have_conf = 1;
		log_init(role_name(self->role), conf.debug);
		if (self->conf != NULL)
			self->conf(m);
		break;
	case MSG_FIFED_ANY_CHANNEL:
		peer_add(m);
		break;
	case MSG_FIFED_ANY_CTL:
		if (started)
			ctl_open(msg_take_fd(m));
		else {
			if (pending_ctl != -1)
				close(pending_ctl);
			pending_ctl = msg_take_fd(m);
		}
		break;
	case MSG_FIFED_ANY_START:
		start(m->p.generation.generation);
		break;
	case MSG_FIFED_ANY_STOP:
		if (stopping)
			break;
		stopping = 1;
		if (!started || self->stop == NULL)
			daemon_stopped();
		else
			self->stop();
		break;
	default:
		if (self->conf != NULL)
			self->conf(m);
	}
}

/* Without the parent there is nobody to restart us or to say stop: end at once.
 * What was promised to anybody is on the disk already. */
static void
fifed_lost(struct channel *ch, const char *why, void *arg)
{
	_exit(0);
}

int
daemon_run(const struct daemon *d)
{
	struct event_config *cfg;

	self = d;
	log_init(role_name(d->role), 0);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	if ((cfg = event_config_new()) == NULL)
		fatal("event_config_new");
	event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK);
	if ((base = event_base_new_with_config(cfg)) == NULL)
		fatalx("no event base");
	event_config_free(cfg);
	fifed = channel_new(
	    base, FIFED_FD, d->role, 0, ROLE_FIFED, fifed_message, fifed_lost, NULL);
	if (fifed == NULL)
		fatalx("%s is started by fifed(8), not by hand", role_name(d->role));
	if (event_base_dispatch(base) == -1)
		fatalx("event loop failed");
	/* Last words of the stop: the log lines that are still queued. */
	for (size_t i = 0; i < n_peers; i++)
		if (peers[i].ch != NULL && peers[i].role == ROLE_LOGD)
			channel_flush(peers[i].ch, 500);
	return 0;
}
