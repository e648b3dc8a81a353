/* SPDX-License-Identifier: ISC */
/*
 * Both ends of fifectl. First octet even: the rest is a row's fields, as fifectl reads
 * them. Odd: the rest is what a fifectl sends after its HELLO, to a daemon that answers
 * with its own arguments.
 */
#include <sys/socket.h>
#include <sys/un.h>

#include <event2/event.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/ctl.h"
#include "common/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct event_base *base;
static struct ctl_server *server;
static char path[100];

static void
quiet(enum log_kind kind, enum log_level level, int64_t t, const char *text)
{
}

static void
echo(struct ctl *c, int argc, char **argv)
{
	const char *secret = ctl_secret(c);

	if (argv[argc] != NULL || argc > CTL_ARGS_MAX)
		abort();
	ctl_row(c, CTL_FACTS);
	for (int i = 0; i < argc; i++)
		ctl_str(c, argv[i], argv[i]);
	if (secret != NULL)
		ctl_u64(c, "secret", strlen(secret));
	ctl_row_end(c);
	ctl_text(c, "%d", argc);
	ctl_done(c, CTL_OK, NULL);
}

static const struct ctl_command commands[] = {
	{ "a", 0, -1, echo },
	{ "a b", 1, 2, echo },
	{ "queue list", 0, 0, echo },
	{ NULL, 0, 0, NULL },
};

static void
fields(const uint8_t *data, size_t len)
{
	struct ibuf b;
	char key[64], kind;
	const char *str;
	uint64_t num;
	size_t n;

	ibuf_from_buffer(&b, (void *)(uintptr_t)data, len);
	while (ctl_field_next(&b, key, sizeof(key), &kind, &str, &n, &num) == 1) {
		if (memchr(key, '\0', sizeof(key)) == NULL)
			abort();
		for (size_t i = 0; str != NULL && i < n; i++) {
			volatile char c = str[i];

			(void)c;
		}
	}
}

static void
start(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	log_set_stderr(0);
	log_set_sink(quiet);
	base = event_base_new();
	snprintf(path, sizeof(path), "/tmp/fife-ctl-fuzz.%ld", (long)getpid());
	unlink(path);
	strlcpy(sun.sun_path, path, sizeof(sun.sun_path));
	if (base == NULL || fd == -1 ||
	    bind(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1 || listen(fd, 5) == -1 ||
	    (server = ctl_server_new(base, fd, ROLE_QUEUED, commands)) == NULL)
		abort();
}

static void
remove_socket(void)
{
	unlink(path);
}

/* A HELLO of fifectl, as octets; made once by the real encoder. */
static size_t
hello(uint8_t *out, size_t cap)
{
	struct msg_hello h = { MSG_VERSION, ROLE_FIFECTL, 0 };
	struct imsgbuf ib;
	struct ibuf *b;
	int fds[2];
	ssize_t n;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == -1 ||
	    imsgbuf_init(&ib, fds[0]) == -1 ||
	    (b = imsg_create(&ib, MSG_ANY_HELLO, 0, 0, 64)) == NULL ||
	    msg_encode(MSG_ANY_HELLO, 0, &h, b) == -1)
		abort();
	imsg_close(&ib, b);
	if (imsgbuf_write(&ib) == -1 || (n = read(fds[1], out, cap)) <= 0)
		abort();
	imsgbuf_clear(&ib);
	close(fds[0]);
	close(fds[1]);
	return (size_t)n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t first[256];
	static size_t first_len;
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd;

	if (len < 1 || len > 60000)
		return 0;
	if ((data[0] & 1) == 0) {
		fields(data + 1, len - 1);
		return 0;
	}
	if (base == NULL) {
		start();
		first_len = hello(first, sizeof(first));
		atexit(remove_socket);
	}
	strlcpy(sun.sun_path, path, sizeof(sun.sun_path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1 || connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1)
		abort();
	(void)!write(fd, first, first_len);
	(void)!write(fd, data + 1, len - 1);
	for (int i = 0; i < 6; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	close(fd);
	for (int i = 0; i < 4; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	return 0;
}
