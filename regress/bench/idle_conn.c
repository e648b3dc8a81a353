/* SPDX-License-Identifier: ISC */
/*
 * Holds a number of SMTP connections to a server on this host open and idle, after EHLO,
 * or after STARTTLS and EHLO: run.sh looks at the server's memory meanwhile. Says
 * "ready" when all of them are there, and ends with its standard input.
 */
#include <sys/socket.h>
#include <sys/time.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONNECTIONS_MAX 10000
#define TIMEOUT_S 60

static void
die(const char *what)
{
	fprintf(stderr, "idle_conn: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void
say(int fd, SSL *ssl, const char *text)
{
	int len = (int)strlen(text);

	if ((ssl != NULL ? SSL_write(ssl, text, len)
			 : (int)send(fd, text, (size_t)len, MSG_NOSIGNAL)) != len)
		die(text);
}

/* A whole reply, which must begin with code. */
static void
hear(int fd, SSL *ssl, const char *code)
{
	char buf[4096];
	size_t len = 0;

	for (;;) {
		char *line = buf, *end;
		int n = ssl != NULL
			    ? SSL_read(ssl, buf + len, (int)(sizeof(buf) - 1 - len))
			    : (int)recv(fd, buf + len, sizeof(buf) - 1 - len, 0);

		if (n <= 0)
			die("no reply");
		len += (size_t)n;
		buf[len] = '\0';
		for (; (end = strchr(line, '\n')) != NULL; line = end + 1)
			if (end - line >= 4 && line[3] == ' ') {
				if (strncmp(line, code, 3) == 0)
					return;
				fprintf(stderr, "idle_conn: %s", line);
				exit(1);
			}
	}
}

static void
open_one(int port, SSL_CTX *ctx)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct timeval tv = { TIMEOUT_S, 0 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	SSL *ssl;

	if (fd == -1 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == -1 ||
	    connect(fd, (struct sockaddr *)&to, sizeof(to)) == -1)
		die("connect");
	hear(fd, NULL, "220");
	say(fd, NULL, "EHLO bench.test\r\n");
	hear(fd, NULL, "250");
	if (ctx == NULL)
		return;
	say(fd, NULL, "STARTTLS\r\n");
	hear(fd, NULL, "220");
	if ((ssl = SSL_new(ctx)) == NULL || SSL_set_fd(ssl, fd) != 1 ||
	    SSL_connect(ssl) != 1) {
		ERR_print_errors_fp(stderr);
		exit(1);
	}
	say(fd, ssl, "EHLO bench.test\r\n");
	hear(fd, ssl, "250");
}

int
main(int argc, char **argv)
{
	SSL_CTX *ctx = NULL;
	int port = 0, n = 0, c;
	char octet;

	while ((c = getopt(argc, argv, "p:c:t")) != -1)
		switch (c) {
		case 'p':
			port = (int)strtol(optarg, NULL, 10);
			break;
		case 'c':
			n = (int)strtol(optarg, NULL, 10);
			break;
		case 't':
			if ((ctx = SSL_CTX_new(TLS_client_method())) == NULL)
				die("TLS");
			break;
		default:
			return 2;
		}
	if (port <= 0 || port > 65535 || n <= 0 || n > CONNECTIONS_MAX) {
		fprintf(stderr, "usage: idle_conn -p port -c connections [-t]\n");
		return 2;
	}
	for (int i = 0; i < n; i++)
		open_one(port, ctx);
	printf("ready\n");
	fflush(stdout);
	while (read(0, &octet, 1) > 0)
		;
	return 0;
}
