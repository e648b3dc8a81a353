/* SPDX-License-Identifier: ISC */
/*
 * The file is written anew with each change: lines of name, kind, scram-only, time
 * and value in base64. See secrets.h.
 */
#include "keyd/secrets.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/log.h"
#include "common/proto/encoding.h"

#define FILE_NAME "secrets"
#define FILE_NEW ".secrets"
#define LINE_SIZE 2048

static struct secret *all[SECRETS_MAX];
static size_t n_all;
static bool unreadable;

static void
secret_free(struct secret *s)
{
	OPENSSL_secure_clear_free(s, sizeof(*s));
}

static bool
is_name(const char *name)
{
	size_t n = strlen(name);

	return n > 0 && n <= SECRET_NAME_MAX && name[0] != '.' &&
	       strspn(name,
		   "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") ==
		   n;
}

static int
read_line(char *line)
{
	struct secret *s;
	char name[SECRET_NAME_MAX + 1], value[1401];
	unsigned int kind, only;
	long long changed;
	int n;

	if (n_all == SECRETS_MAX ||
	    sscanf(line, "%63s %u %u %lld %1400s", name, &kind, &only, &changed, value) !=
		5 ||
	    !is_name(name) || kind > SECRET_TOKEN_FILE ||
	    (s = OPENSSL_secure_zalloc(sizeof(*s))) == NULL)
		return -1;
	n = strcmp(value, "-") == 0
		? 0
		: base64_decode(value, strlen(value), s->value, SECRET_VALUE_MAX);
	explicit_bzero(value, sizeof(value));
	if (n == -1) {
		secret_free(s);
		return -1;
	}
	strlcpy(s->name, name, sizeof(s->name));
	s->kind = (enum secret_kind)kind;
	s->scram_only = only != 0;
	s->changed = changed;
	all[n_all++] = s;
	return 0;
}

int
secrets_open(void)
{
	char line[LINE_SIZE];
	int fd = open(FILE_NAME, O_RDONLY | O_NOFOLLOW | O_CLOEXEC), rc = 0;
	FILE *f;

	if (fd == -1 && errno == ENOENT)
		return 0;
	if (fd == -1 || (f = fdopen(fd, "r")) == NULL) {
		log_warn("secrets");
		unreadable = true;
		if (fd != -1)
			close(fd);
		return -1;
	}
	setvbuf(f, NULL, _IONBF, 0); /* no copy that is not wiped */
	while (rc == 0 && fgets(line, sizeof(line), f) != NULL)
		if (read_line(line) == -1)
			rc = -1;
	explicit_bzero(line, sizeof(line));
	fclose(f);
	if (rc == -1) {
		log_warnx("secrets: the file is damaged; nothing will be written to it");
		unreadable = true;
	}
	return rc;
}

static int
write_line(int fd, const struct secret *s)
{
	char line[LINE_SIZE], value[BASE64_ENCODED_SIZE(SECRET_VALUE_MAX)] = "-";
	int n, rc;

	if (s->value[0] != '\0' &&
	    base64_encode(s->value, strlen(s->value), value, sizeof(value)) == -1)
		return -1;
	n = snprintf(line, sizeof(line), "%s %u %u %lld %s\n", s->name,
	    (unsigned int)s->kind, s->scram_only ? 1u : 0u, (long long)s->changed, value);
	rc = write(fd, line, (size_t)n) == n ? 0 : -1;
	explicit_bzero(line, sizeof(line));
	explicit_bzero(value, sizeof(value));
	return rc;
}

static const char *
save(void)
{
	static char why[128];
	int fd =
	    open(FILE_NEW, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	int bad = fd == -1;

	for (size_t i = 0; !bad && i < n_all; i++)
		bad = write_line(fd, all[i]) == -1;
	bad = bad || fsync(fd) == -1 || rename(FILE_NEW, FILE_NAME) == -1;
	if (bad)
		snprintf(why, sizeof(why), "cannot be written: %s", strerror(errno));
	if (fd != -1)
		close(fd);
	if (!bad && (fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) != -1) {
		(void)fsync(fd);
		close(fd);
	}
	return bad ? why : NULL;
}

static size_t
index_of(const char *name)
{
	size_t i;

	for (i = 0; i < n_all && strcmp(all[i]->name, name) != 0; i++)
		;
	return i;
}

const struct secret *
secrets_find(const char *name)
{
	size_t i = index_of(name);

	return i < n_all ? all[i] : NULL;
}

const struct secret *
secrets_at(size_t i)
{
	return i < n_all ? all[i] : NULL;
}

size_t
secrets_count(void)
{
	return n_all;
}

const char *
secrets_put(const struct secret *new)
{
	size_t i = index_of(new->name), before = n_all;
	struct secret *s, *old = i < n_all ? all[i] : NULL;
	const char *why;

	if (unreadable)
		return "the file of secrets cannot be read";
	if (!is_name(new->name))
		return "not a name: letters, digits, and - _ . within";
	if (old == NULL && n_all == SECRETS_MAX)
		return "too many secrets";
	if ((s = OPENSSL_secure_zalloc(sizeof(*s))) == NULL)
		return "out of memory";
	*s = *new;
	all[i] = s;
	if (old == NULL)
		n_all++;
	if ((why = save()) != NULL) {
		all[i] = old;
		n_all = before;
		secret_free(s);
		return why;
	}
	if (old != NULL)
		secret_free(old);
	return NULL;
}

const char *
secrets_del(const char *name)
{
	size_t i = index_of(name);
	struct secret *s;
	const char *why;

	if (i == n_all)
		return "no such secret";
	s = all[i];
	all[i] = all[--n_all];
	if ((why = save()) != NULL) {
		all[n_all++] = all[i];
		all[i] = s;
		return why;
	}
	secret_free(s);
	return NULL;
}

static int
read_token(const char *name, char *buf, size_t cap, const char **why)
{
	char path[SECRET_NAME_MAX + 16];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "token/%s", name);
	/* Whatever lies there: no waiting for the other end of a pipe. */
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	*why = "its token file cannot be read";
	if (fd == -1)
		return -1;
	n = read(fd, buf, cap - 1);
	close(fd);
	if (n <= 0)
		return -1;
	buf[n] = '\0';
	buf[strcspn(buf, "\r\n")] = '\0';
	*why = "its token file is empty";
	return buf[0] == '\0' ? -1 : 0;
}

int
secrets_value(const struct secret *s, char *buf, size_t cap, const char **why)
{
	if (s->kind == SECRET_TOKEN_FILE)
		return read_token(s->name, buf, cap, why);
	strlcpy(buf, s->value, cap);
	return 0;
}
