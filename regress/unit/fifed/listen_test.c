/* SPDX-License-Identifier: ISC */
/* Listeners over a reload: what stays is the same socket, what is new is opened, an
 * error changes nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "common/compat/compat.h"
#include "fifed/internal.h"

struct suite *fifed;

/* A port that is free now. */
static unsigned int
free_port(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&sin, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	close(fd);
	return ntohs(sin.sin_port);
}

static struct conf *
conf_of(const char *fmt, ...)
{
	char text[400], err[400];
	struct conf *c;
	va_list ap;
	int n;

	n = snprintf(text, sizeof(text), "hostname a.example\n");
	va_start(ap, fmt);
	vsnprintf(text + n, sizeof(text) - (size_t)n, fmt, ap);
	va_end(ap);
	c = conf_parse("x", text, strlen(text), err, sizeof(err));
	if (c == NULL)
		fail_msg("%s", err);
	return c;
}

static void
reloads(void **state)
{
	static struct suite s;
	struct listener list[SUITE_LISTENERS_MAX];
	unsigned int a = free_port(), b = free_port();
	struct conf *c;
	char err[400];
	int first;
	size_t n;

	c = conf_of("listen smtp on 127.0.0.1 port %u tls none\n", a);
	assert_int_equal(listen_open(&s, c, list, &n, err, sizeof(err)), 0);
	assert_int_equal(n, 1);
	listen_adopt(&s, list, n);
	first = s.listeners[0].fd;
	conf_free(c);

	c = conf_of("listen smtp on 127.0.0.1 port %u tls none\n"
		    "listen imap on 127.0.0.1 port %u tls none\n",
	    b, a);
	assert_int_equal(listen_open(&s, c, list, &n, err, sizeof(err)), 0);
	listen_adopt(&s, list, n);
	assert_int_equal(s.n_listeners, 2);
	assert_int_equal(s.listeners[1].fd, first);
	assert_int_equal(s.listeners[1].m.kind, LISTENER_IMAP);
	conf_free(c);

	/* 192.0.2.1 (RFC 5737) is no address of ours. */
	c = conf_of("listen smtp on 127.0.0.1 port %u tls none\n"
		    "listen smtp on 192.0.2.1 port %u tls none\n",
	    b, a);
	assert_int_equal(listen_open(&s, c, list, &n, err, sizeof(err)), -1);
	assert_memory_equal(err, "x:3: listen on 192.0.2.1 port", 29);
	assert_int_equal(s.n_listeners, 2);
	assert_true(fcntl(s.listeners[0].fd, F_GETFD) != -1);
	conf_free(c);

	c = conf_of("%s", "");
	assert_int_equal(listen_open(&s, c, list, &n, err, sizeof(err)), 0);
	listen_adopt(&s, list, n);
	assert_int_equal(s.n_listeners, 0);
	assert_int_equal(fcntl(first, F_GETFD), -1);
	conf_free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reloads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
