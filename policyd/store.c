/* SPDX-License-Identifier: ISC */
/*
 * Policies on disk and in memory; see store.h. A file has the domain's name and
 * begins with a line of ours, "fife-sts 1 ID FETCHED"; the policy as it was fetched
 * follows and is parsed anew when it is read.
 */
#include "policyd/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/file.h"
#include "common/log.h"
#include "common/proto/address.h"

#define BUCKETS 4096
#define HEAD_MAX 128

struct entry {
	struct stored s;
	struct entry *next;
};

static struct entry *buckets[BUCKETS];
static struct entry *all[STORE_MAX];
static unsigned int n_all;

static unsigned int
hash(const char *domain)
{
	uint32_t h = 2166136261u;

	for (; *domain != '\0'; domain++)
		h = (h ^ (unsigned char)*domain) * 16777619u;
	return h % BUCKETS;
}

static struct entry *
find(const char *domain)
{
	struct entry *e;

	for (e = buckets[hash(domain)]; e != NULL; e = e->next)
		if (strcmp(e->s.domain, domain) == 0)
			return e;
	return NULL;
}

/* A domain's name is the name of its file; nothing else may be. */
static int
is_name(const char *domain)
{
	size_t n = strlen(domain);

	return n > 0 && n < 250 && domain[0] != '.' &&
	       strspn(domain, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == n &&
	       address_domain_valid_loose(domain, n);
}

static void
drop(struct entry *e)
{
	struct entry **p = &buckets[hash(e->s.domain)];

	while (*p != e)
		p = &(*p)->next;
	*p = e->next;
	for (unsigned int i = 0; i < n_all; i++)
		if (all[i] == e) {
			all[i] = all[--n_all];
			break;
		}
	if (unlink(e->s.domain) == -1 && errno != ENOENT)
		log_warn("policy of %s", e->s.domain);
	free(e);
}

static struct entry *
insert(const struct stored *s)
{
	struct entry *e = find(s->domain), *oldest = NULL;

	if (e != NULL) {
		e->s = *s;
		return e;
	}
	if (n_all == STORE_MAX) {
		for (unsigned int i = 0; i < n_all; i++)
			if (oldest == NULL || all[i]->s.expires < oldest->s.expires)
				oldest = all[i];
		drop(oldest);
	}
	if ((e = malloc(sizeof(*e))) == NULL)
		return NULL;
	e->s = *s;
	e->next = buckets[hash(s->domain)];
	buckets[hash(s->domain)] = e;
	all[n_all++] = e;
	return e;
}

static int
load(const char *name, int64_t now)
{
	static char buf[HEAD_MAX + POLICY_TEXT_MAX + 1];
	struct stored s = { .expires = 0 };
	long long fetched;
	const char *why;
	char *nl;
	ssize_t n;
	int fd = open(name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd == -1)
		return -1;
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	if (n <= 0)
		return -1;
	buf[n] = '\0';
	if ((nl = strchr(buf, '\n')) == NULL || nl - buf > HEAD_MAX ||
	    sscanf(buf, "fife-sts 1 %32s %lld", s.id, &fetched) != 2 ||
	    policy_parse(nl + 1, (size_t)(buf + n - nl - 1), &s.policy, &why) == -1)
		return -1;
	if (fetched > now)
		fetched = now; /* the clock went back */
	s.fetched = fetched;
	s.expires = fetched + s.policy.max_age_s;
	strlcpy(s.domain, name, sizeof(s.domain));
	if (s.expires <= now)
		return -1;
	return insert(&s) == NULL ? -1 : 0;
}

void
store_open(int64_t now)
{
	DIR *d = opendir(".");
	struct dirent *de;

	if (d == NULL) {
		log_warn("cannot read the policies that were kept");
		return;
	}
	while ((de = readdir(d)) != NULL)
		if (de->d_name[0] != '.' &&
		    (!is_name(de->d_name) || load(de->d_name, now) == -1))
			(void)unlink(de->d_name);
	closedir(d);
	(void)unlink(".new");
}

const struct stored *
store_find(const char *domain, int64_t now)
{
	struct entry *e = find(domain);

	if (e == NULL)
		return NULL;
	if (e->s.expires <= now) {
		drop(e);
		return NULL;
	}
	return &e->s;
}

void
store_put(const struct stored *s, const char *text, size_t len)
{
	char head[HEAD_MAX];
	int n, fd, bad;

	if (!is_name(s->domain) || insert(s) == NULL)
		return;
	n = snprintf(
	    head, sizeof(head), "fife-sts 1 %s %lld\n", s->id, (long long)s->fetched);
	fd = open(".new", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd == -1) {
		log_warn("policy of %s cannot be kept", s->domain);
		return;
	}
	bad = file_write_all(fd, head, (size_t)n) == -1 ||
	      file_write_all(fd, text, len) == -1 || fsync(fd) == -1;
	bad |= close(fd) == -1;
	if (bad || rename(".new", s->domain) == -1) {
		log_warn("policy of %s cannot be kept", s->domain);
		(void)unlink(".new");
	}
}

void
store_remove(const char *domain)
{
	struct entry *e = find(domain);

	if (e != NULL)
		drop(e);
}

unsigned int
store_count(void)
{
	return n_all;
}

const struct stored *
store_at(unsigned int i)
{
	return i < n_all ? &all[i]->s : NULL;
}
