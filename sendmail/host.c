/* SPDX-License-Identifier: ISC */
/* Finding the suite; see host.h. */
#include "sendmail/host.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"

#define CONF_READ_MAX 65536

/* «name value» at the start of a line outside of blocks; value may be in quotes. */
static int
setting(const char *line, size_t len, const char *name, char *out, size_t cap)
{
	size_t n = strlen(name), w = 0;
	int quoted;

	if (len <= n || memcmp(line, name, n) != 0 || (line[n] != ' ' && line[n] != '\t'))
		return 0;
	for (line += n, len -= n; len > 0 && (*line == ' ' || *line == '\t');
	     line++, len--)
		;
	quoted = len > 0 && *line == '"';
	if (quoted) {
		line++;
		len--;
	}
	while (w < len && (quoted ? line[w] != '"'
				  : !isspace((unsigned char)line[w]) && line[w] != '#'))
		w++;
	if (w == 0 || w >= cap)
		return 0;
	memcpy(out, line, w);
	out[w] = '\0';
	return 1;
}

void
host_parse(struct host *h, const char *text, size_t len)
{
	char postmaster[321] = "";
	const char *at;
	int depth = 0;

	while (len > 0) {
		const char *end = memchr(text, '\n', len);
		size_t n = end == NULL ? len : (size_t)(end - text), i = 0;

		while (i < n && (text[i] == ' ' || text[i] == '\t'))
			i++;
		if (depth == 0 && i < n && text[i] != '#') {
			(void)setting(
			    text + i, n - i, "state", h->state, sizeof(h->state));
			(void)setting(
			    text + i, n - i, "hostname", h->name, sizeof(h->name));
			(void)setting(text + i, n - i, "postmaster", postmaster,
			    sizeof(postmaster));
		}
		for (; i < n && text[i] != '#'; i++)
			depth += text[i] == '{' ? 1 : text[i] == '}' ? -1 : 0;
		n += end != NULL;
		text += n;
		len -= n;
	}
	at = strrchr(postmaster, '@');
	strlcpy(h->domain, at != NULL ? at + 1 : h->name, sizeof(h->domain));
}

static size_t
read_file(const char *path, char *buf, size_t cap)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n;

	if (fd == -1)
		return 0;
	while (len < cap && (n = read(fd, buf + len, cap - len)) > 0)
		len += (size_t)n;
	close(fd);
	return len;
}

/* Relative paths in the file start at its directory. */
static int
make_absolute(struct host *h)
{
	char path[sizeof(h->state)], dir[sizeof(h->conf)], *slash;
	int n;

	if (h->state[0] == '/')
		return 0;
	strlcpy(dir, h->conf, sizeof(dir));
	if ((slash = strrchr(dir, '/')) == NULL)
		strlcpy(dir, ".", sizeof(dir));
	else
		*slash = '\0';
	n = snprintf(path, sizeof(path), "%s/%s", dir, h->state);
	if (n < 0 || (size_t)n >= sizeof(path))
		return -1;
	strlcpy(h->state, path, sizeof(h->state));
	return 0;
}

int
host_find(const char *conf, struct host *h)
{
	const char *state = getenv("FIFE_STATE");
	char *text;
	size_t len = 0;

	memset(h, 0, sizeof(*h));
	if (conf == NULL && ((conf = getenv("FIFE_CONF")) == NULL || *conf == '\0'))
		conf = FIFE_PREFIX "/etc/fife.conf";
	if (strlcpy(h->conf, conf, sizeof(h->conf)) >= sizeof(h->conf))
		return -1;
	strlcpy(h->state, "/var/lib/fife", sizeof(h->state));
	if (gethostname(h->name, sizeof(h->name) - 1) == -1 || h->name[0] == '\0')
		strlcpy(h->name, "localhost", sizeof(h->name));
	strlcpy(h->domain, h->name, sizeof(h->domain));
	if ((text = malloc(CONF_READ_MAX)) != NULL &&
	    (len = read_file(conf, text, CONF_READ_MAX)) > 0)
		host_parse(h, text, len);
	free(text);
	if (len == 0 && state != NULL && *state != '\0' &&
	    strlcpy(h->state, state, sizeof(h->state)) >= sizeof(h->state))
		return -1;
	return make_absolute(h);
}
