/*
 * Classes of mail, see class.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "queued/class.h"
#include "queued/select.h"

#define RETRY_DEFAULT "5m 15m 30m 1h 2h 4h"
#define EXPIRE_DEFAULT_S (5 * 86400)

void
classes_clear(struct classes *c)
{
	for (uint32_t i = 0; i < c->n; i++)
		free(c->v[i]);
	memset(c, 0, sizeof(*c));
}

void
classes_set_default(struct classes *c, const struct msg_conf_queued *conf)
{
	classes_clear(c);
	strlcpy(c->normal.name, "default", sizeof(c->normal.name));
	if (retry_parse(conf->retry, &c->normal.retry) == -1)
		(void)retry_parse(RETRY_DEFAULT, &c->normal.retry);
	c->normal.expire_s = conf->expire_s != 0 ? conf->expire_s : EXPIRE_DEFAULT_S;
	c->normal.delay_warning_s = conf->delay_warning_s;
	c->bounce = c->normal;
	strlcpy(c->bounce.name, "bounce", sizeof(c->bounce.name));
	if (conf->bounce_expire_s != 0)
		c->bounce.expire_s = conf->bounce_expire_s;
	c->expire_min_s = c->bounce.expire_s < c->normal.expire_s ? c->bounce.expire_s
								  : c->normal.expire_s;
}

int
classes_add(struct classes *c, const struct msg_conf_queue_class *m)
{
	struct class *k;

	if (c->n == CLASSES_MAX || (k = calloc(1, sizeof(*k))) == NULL)
		return -1;
	if (retry_parse(m->retry, &k->times.retry) == -1 || m->expire_s == 0) {
		free(k);
		return -1;
	}
	strlcpy(k->from, m->from, sizeof(k->from));
	strlcpy(k->to, m->to, sizeof(k->to));
	strlcpy(k->login, m->login, sizeof(k->login));
	k->priority_min = (int8_t)m->priority_min;
	k->priority_max = (int8_t)m->priority_max;
	k->bounces = strcmp(m->name, "bounce") == 0;
	strlcpy(k->times.name, m->name, sizeof(k->times.name));
	k->times.expire_s = m->expire_s;
	k->times.delay_warning_s = m->delay_warning_s;
	if (k->times.expire_s < c->expire_min_s)
		c->expire_min_s = k->times.expire_s;
	c->v[c->n++] = k;
	return 0;
}

static int
agrees(const struct class *k, const struct class_facts *f)
{
	return (!k->bounces || f->sender[0] == '\0') &&
	       (k->from[0] == '\0' || select_address(k->from, f->sender)) &&
	       (k->to[0] == '\0' || select_address(k->to, f->rcpt)) &&
	       (k->login[0] == '\0' ||
		   (f->login[0] != '\0' && select_address(k->login, f->login))) &&
	       f->priority >= k->priority_min && f->priority <= k->priority_max;
}

const struct class_times *
classes_find(const struct classes *c, const struct class_facts *f)
{
	for (uint32_t i = 0; i < c->n; i++) {
		if (agrees(c->v[i], f))
			return &c->v[i]->times;
	}
	return f->sender[0] == '\0' ? &c->bounce : &c->normal;
}
