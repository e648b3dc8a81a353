/* SPDX-License-Identifier: ISC */
/*
 * A channel with a taken-over neighbour. The first octet chooses the pair of roles and
 * whether a right HELLO comes first; then either raw octets, or records of
 *	type (2)  id (1)  flags (1: 1 = with a descriptor)  length (1)  payload
 * that are made into messages with right framing. Questions wait for answers
 * meanwhile, so that answers with their ids have somewhere to go.
 */
#include <sys/socket.h>

#include <event2/event.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/compat/compat.h"
#include "common/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const struct {
	enum role self, peer;
} pairs[] = {
	{ ROLE_QUEUED, ROLE_AUTHD },
	{ ROLE_AUTHD, ROLE_SMTPD },
	{ ROLE_QUEUED, ROLE_SMTPD },
	{ ROLE_SMTPD, ROLE_FIFED },
	{ ROLE_FILTERD, ROLE_SCAND },
	{ ROLE_SCAND, ROLE_FILTERD },
	{ ROLE_MBOXD, ROLE_AUTHD },
	{ ROLE_LOGD, ROLE_SMTPD },
};

static struct event_base *base;
static int lost, asked, answered;

static void
quiet(enum log_kind kind, enum log_level level, int64_t t, const char *text)
{
}

static void
on_message(struct channel *ch, struct msg *m, void *arg)
{
	const struct msg_info *info = msg_info(m->type);

	if (info == NULL || (info->from & ROLE_BIT(channel_role(ch))) == 0 ||
	    (info->flags & (MSG_F_ANSWER | MSG_F_HELLO)))
		abort();
	if ((info->flags & MSG_F_FD) && m->fd == -1)
		abort();
	if (m->fd != -1 && (m->type & 1))
		close(msg_take_fd(m));
}

static void
on_answer(struct msg *m, void *arg)
{
	const struct msg_info *info = m == NULL ? NULL : msg_info(m->type);

	if (m == NULL || !(info->flags & MSG_F_PART))
		answered++;
	if (answered > asked)
		abort();
}

static void
on_lost(struct channel *ch, const char *why, void *arg)
{
	/* All who wait have been told before. */
	if (answered != asked || why[0] == '\0')
		abort();
	lost++;
}

static void
ask(struct channel *ch, enum role self)
{
	struct msg_route_ask d = { .domain = "example.test" };
	struct msg_scan s = { .size = 1 };
	enum msg_type type =
	    self == ROLE_QUEUED ? MSG_QUEUED_AUTHD_ROUTE : MSG_FILTERD_SCAND_SCAN;
	const void *p = self == ROLE_QUEUED ? (const void *)&d : (const void *)&s;

	for (int i = 0; i < 4; i++) {
		int fd =
		    self == ROLE_QUEUED ? -1 : open("/dev/null", O_RDONLY | O_CLOEXEC);

		if (channel_ask(ch, type, p, fd, 60000, on_answer, NULL) != 0)
			asked++;
	}
}

static void
records(struct imsgbuf *ib, const uint8_t *p, size_t len)
{
	while (len >= 5) {
		uint32_t type = (uint32_t)p[0] << 8 | p[1];
		uint64_t id = p[2];
		int fd = p[3] & 1 ? open("/dev/null", O_RDONLY | O_CLOEXEC) : -1;
		size_t n = p[4];
		struct ibuf *b;

		p += 5;
		len -= 5;
		if (n > len)
			n = len;
		if ((b = imsg_create(ib, type, 0, 0, 300)) == NULL) {
			if (fd != -1)
				close(fd);
			return;
		}
		if (ibuf_add_n64(b, id) == -1 || ibuf_add(b, p, n) == -1)
			abort();
		if (fd != -1)
			ibuf_fd_set(b, fd);
		imsg_close(ib, b);
		p += n;
		len -= n;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct imsgbuf ib;
	struct channel *ch;
	struct ibuf *b;
	int fds[2];
	size_t pair;

	if (len < 2 || len > 60000)
		return 0;
	if (base == NULL) {
		log_set_stderr(0);
		log_set_sink(quiet);
		base = event_base_new();
	}
	lost = asked = answered = 0;
	pair = (data[0] >> 2) % (sizeof(pairs) / sizeof(pairs[0]));
	if (base == NULL ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == -1)
		abort();
	ch = channel_new(base, fds[0], pairs[pair].self, 0, pairs[pair].peer, on_message,
	    on_lost, NULL);
	if (ch == NULL || imsgbuf_init(&ib, fds[1]) == -1)
		abort();
	imsgbuf_allow_fdpass(&ib);
	if (pairs[pair].peer == ROLE_AUTHD && pairs[pair].self == ROLE_QUEUED)
		ask(ch, ROLE_QUEUED);
	if (pairs[pair].peer == ROLE_SCAND)
		ask(ch, ROLE_FILTERD);
	if (data[0] & 1) {
		struct msg_hello h = { MSG_VERSION, (uint8_t)pairs[pair].peer, 7 };

		if ((b = imsg_create(&ib, MSG_ANY_HELLO, 0, 0, 64)) == NULL ||
		    msg_encode(MSG_ANY_HELLO, 0, &h, b) == -1)
			abort();
		imsg_close(&ib, b);
	}
	if (data[0] & 2)
		records(&ib, data + 1, len - 1);
	while (imsgbuf_queuelen(&ib) > 0 && imsgbuf_write(&ib) == 0 &&
	       imsgbuf_queuelen(&ib) > 0 && !lost)
		event_base_loop(base, EVLOOP_NONBLOCK);
	if (!(data[0] & 2))
		(void)!write(fds[1], data + 1, len - 1);
	for (int i = 0; i < 3 && !lost; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	imsgbuf_clear(&ib);
	close(fds[1]);
	/* The end of the peer is always noticed. */
	for (int i = 0; i < 100 && !lost; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	if (lost != 1)
		abort();
	return 0;
}
