/* SPDX-License-Identifier: ISC */
/* Passwords: never from the command line; from a prompt, or one line of standard
 * input when that is no terminal. */
#include "fifectl/command.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#ifndef __OpenBSD__
#include <bsd/readpassphrase.h>
#else
#include <readpassphrase.h>
#endif

#include "common/compat/compat.h"

static int
from_terminal(const char *what, char *buf, size_t cap)
{
	char prompt[128], again[1024];
	int r = -1;

	snprintf(prompt, sizeof(prompt), "%s: ", what);
	if (readpassphrase(prompt, buf, cap, RPP_ECHO_OFF) == NULL) {
		fprintf(stderr, "fifectl: cannot read from the terminal\n");
		return -1;
	}
	snprintf(prompt, sizeof(prompt), "%s again: ", what);
	if (readpassphrase(prompt, again, sizeof(again), RPP_ECHO_OFF) == NULL)
		fprintf(stderr, "fifectl: cannot read from the terminal\n");
	else if (strcmp(buf, again) != 0)
		fprintf(stderr, "fifectl: the two do not match\n");
	else
		r = 0;
	explicit_bzero(again, sizeof(again));
	return r;
}

/* Octet by octet: what follows the line is somebody else's. */
static int
from_stdin(char *buf, size_t cap)
{
	size_t len = 0;
	ssize_t n;
	char c;

	for (;;) {
		if ((n = read(STDIN_FILENO, &c, 1)) == -1) {
			if (errno == EINTR)
				continue;
			fprintf(stderr, "fifectl: standard input: %s\n", strerror(errno));
			return -1;
		}
		if (n == 0 || c == '\n')
			break;
		if (c == '\0' || len + 1 >= cap) {
			fprintf(stderr, "fifectl: the line is too long or no text\n");
			return -1;
		}
		buf[len++] = c;
	}
	if (len > 0 && buf[len - 1] == '\r')
		len--;
	buf[len] = '\0';
	return 0;
}

int
secret_read(const char *what, char *buf, size_t cap)
{
	int r =
	    isatty(STDIN_FILENO) ? from_terminal(what, buf, cap) : from_stdin(buf, cap);

	if (r == 0 && buf[0] == '\0') {
		fprintf(stderr,
		    "fifectl: no %s given, expected a line of standard input\n", what);
		return -1;
	}
	return r;
}
