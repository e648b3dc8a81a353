/*
 * What came of a job: states of the recipients, those that aliases added,
 * and notifications to the sender, all in one group of records.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/compat/compat.h"
#include "common/log.h"
#include "queued/bounce.h"
#include "queued/deliver.h"
#include "queued/internal.h"
#include "queued/job.h"
#include "queued/notice.h"
#include "queued/post.h"
#include "queued/language.h"
#include "queued/qid.h"

#define ORIGINAL_READ (200 * 1024)
#define LOCAL_TRIES 6
#define LOCAL_FIRST_S 5U
/* A job with more recipients keeps a little of each reply: all of it is one record. */
#define RCPTS_IN_FULL 1000
#define SHORT_WORDS 120
#define SHORT_NAME 80

static const char *
str(const char *s)
{
	return s == NULL ? "" : s;
}

/* One notification in the making. */
struct note {
	struct bounce_rcpt *rcpts;
	size_t n;
	char *text;
	size_t len;
	int eightbit;
	uint64_t id;
	uint8_t *list; /* its recipient, encoded */
	struct spool_message sm;
};

struct record {
	struct job *job;
	struct qmsg *m;
	struct spool_view view;
	int64_t now;
	char qid[QID_SIZE];
	uint32_t flags;
	uint8_t *list; /* changed recipients, encoded */
	struct bytes_out out;
	uint32_t nout;
	uint32_t nlive;
	struct note notes[BOUNCE_ACTIONS]; /* by enum bounce_action */
	struct note *sent;                 /* by scripts, as the job's outlets */
};

const struct class_times *
job_class(const struct spool_view *v, uint32_t rcpt)
{
	struct class_facts f = { v->rec.sender, v->rcpts[rcpt].address,
		v->rec.login_address, v->rec.ext.priority };

	return classes_find(&queued.classes, &f);
}

static int64_t
expire_at(const struct record *r, uint32_t num)
{
	return (int64_t)r->m->created + job_class(&r->view, num)->expire_s;
}

static int
wants(const struct record *r, uint8_t notify, uint8_t what)
{
	if (r->view.rec.sender[0] == '\0' || r->m->flags & QM_BOUNCE ||
	    notify & NOTIFY_NEVER)
		return 0;
	if ((notify & NOTIFY_WISH) == 0)
		return what != NOTIFY_SUCCESS;
	return (notify & what) != 0;
}

static void
note_add(struct record *r, enum bounce_action action, const struct rec_rcpt *rc,
    const char *cause)
{
	struct note *n = &r->notes[action];
	struct bounce_rcpt *b;

	if (n->rcpts == NULL) {
		n->rcpts = calloc(r->view.nrcpt, sizeof(*n->rcpts));
		if (n->rcpts == NULL)
			return;
	}
	b = &n->rcpts[n->n++];
	b->address = rc->address;
	b->orcpt = rc->orcpt;
	b->enhanced = rc->enhanced;
	b->mta = rc->mta;
	b->reply = rc->mta[0] != '\0' ? rc->text : "";
	b->text = rc->mta[0] != '\0' ? "" : rc->text;
	b->until = expire_at(r, rc->num);
	b->cause = cause;
}

static void
log_result(const struct record *r, const char *event, const struct rec_rcpt *rc)
{
	log_fact(LOG_DELIVERY, LOGL_INFO, event, KS("qid", r->qid), KS("to", rc->address),
	    KS("code", rc->enhanced), KS("mta", rc->mta), KS("reply", rc->text),
	    KU("attempts", rc->attempts));
}

static void
rcpt_put(struct record *r, const struct rec_rcpt *rc)
{
	rec_rcpt_encode(rc, &r->out);
	r->nout++;
}

/* A failure of our own mailboxes (mboxd restarts, say) is over soon and a try is cheap:
 * seconds first. */
static uint32_t
next_delay(const struct record *r, unsigned int attempts, uint32_t num)
{
	uint32_t delay = retry_delay_spread(
	    &job_class(&r->view, num)->retry, attempts, (uint32_t)r->m->id + num);

	if (r->job->local && attempts <= LOCAL_TRIES &&
	    delay > LOCAL_FIRST_S << (attempts - 1))
		return LOCAL_FIRST_S << (attempts - 1);
	return delay;
}

/* How many addresses a recipient stood for. */
static uint32_t
count_expands(const struct record *r, uint32_t num)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < r->job->nexpands; i++)
		n += r->job->expands[i].num == num;
	return n;
}

/*
 * RFC 3461, 5.2.7: an alias for one address is not reported, the wish goes on with the
 * message; one for several is, and the wish for success ends here (5.2.7.3, c).
 */
static int
wish_goes_on(const struct record *r, const struct job_rcpt *jr)
{
	return !jr->kept && count_expands(r, jr->num) == 1;
}

/* Is it of that mode of RFC 2852, and has its time come? */
static int
by_is_over(const struct record *r, uint8_t mode)
{
	const struct rec_ext *x = &r->view.rec.ext;

	return x->by_mode == mode && r->now >= x->by;
}

/* RFC 2852, 4.1.4: that it has left here is told when a trace is asked for, and when who
 * has it now does not know until when. */
static int
wants_relayed(const struct record *r, const struct job_rcpt *jr, uint8_t notify)
{
	const struct rec_ext *x = &r->view.rec.ext;

	if (r->job->local || x->by_mode == 0 || !wants(r, notify, UINT8_MAX))
		return 0;
	return x->by_trace || (x->by_mode == REC_BY_NOTIFY && !jr->by_known &&
				  !by_is_over(r, REC_BY_NOTIFY));
}

static void
note_success(struct record *r, const struct job_rcpt *jr, const struct rec_rcpt *rc)
{
	uint32_t n = count_expands(r, jr->num);

	if (!wants_relayed(r, jr, rc->notify) &&
	    (!wants(r, rc->notify, NOTIFY_SUCCESS) || jr->handed || wish_goes_on(r, jr)))
		return;
	note_add(r,
	    !r->job->local       ? BOUNCE_RELAYED
	    : n > 0 && !jr->kept ? BOUNCE_EXPANDED
				 : BOUNCE_DELIVERED,
	    rc, NULL);
}

/* NOTIFY for one of the addresses that a recipient stood for. */
static uint8_t
expanded_notify(const struct record *r, const struct job_rcpt *jr)
{
	uint8_t notify = r->view.rcpts[jr->num].notify;

	if ((notify & NOTIFY_WISH) == 0 || wish_goes_on(r, jr))
		return notify;
	notify &= (uint8_t)~NOTIFY_SUCCESS;
	/* Nothing at all would mean the usual reports. */
	return (notify & NOTIFY_WISH) == 0 ? notify | NOTIFY_NEVER : notify;
}

static const char *
postmaster(char *buf, size_t cap)
{
	const struct msg_conf *c = daemon_conf();

	if (c->postmaster[0] != '\0')
		return c->postmaster;
	snprintf(buf, cap, "postmaster@%s", c->hostname);
	return buf;
}

/* Mail to the postmaster, by the role's name or by what it stands for here. */
static int
is_for_postmaster(const struct record *r)
{
	char buf[300];
	const char *p = postmaster(buf, sizeof(buf));

	for (uint32_t i = 0; i < r->view.nrcpt; i++) {
		const char *a = r->view.rcpts[i].address;

		if (strcasecmp(a, p) == 0 || strncasecmp(a, "postmaster@", 11) == 0)
			return 1;
	}
	return 0;
}

/* A bounce is not bounced: the postmaster gets it, or nobody. */
static void
double_bounce(struct record *r, const struct rec_rcpt *rc)
{
	int told = queued.conf.double_bounce && !is_for_postmaster(r);

	if (told)
		note_add(r, BOUNCE_FAILED, rc, NULL);
	log_fact(LOG_DELIVERY, LOGL_WARN, told ? "double-bounce" : "dropped",
	    KS("qid", r->qid), KS("to", rc->address),
	    KS("why", "a bounce is not bounced"), KS("told", told ? "postmaster" : ""));
}

/* Whom it does not reach is no member for long; its sender knows nothing of them. */
static int
is_post(const struct record *r)
{
	return r->view.rec.ext.list != NULL && r->view.rec.ext.list[0] != '\0';
}

/* One recipient's result; rc is its view, changed here. pass 0 measures, pass 1 writes.
 */
static void
rcpt_apply(struct record *r, const struct job_rcpt *jr, int pass)
{
	struct rec_rcpt rc = r->view.rcpts[jr->num];
	struct rec_rcpt *keep = &r->view.rcpts[jr->num];

	if (rc.state != RCPT_LIVE)
		return;
	rc.has = REC_R_RESULT;
	rc.enhanced = jr->enhanced;
	rc.mta = str(jr->mta);
	rc.text = str(jr->words);
	switch (jr->status) {
	case JOB_DELIVERED:
		rc.state = RCPT_DONE;
		break;
	case JOB_FAILED:
		rc.state = RCPT_FAILED;
		break;
	case JOB_DEFERRED:
		if (rc.attempts < UINT16_MAX)
			rc.attempts++;
		if (r->now >= expire_at(r, jr->num)) {
			rc.state = RCPT_FAILED;
			rc.enhanced = "4.4.7";
		} else if (by_is_over(r, REC_BY_RETURN)) {
			rc.state = RCPT_FAILED;
			rc.enhanced = "5.4.7";
		} else
			rc.next = r->now + next_delay(r, rc.attempts, jr->num);
		break;
	default: /* not tried */
		if (pass == 0)
			r->nlive++;
		return;
	}
	rcpt_put(r, &rc);
	if (pass == 0) {
		r->nlive += rc.state == RCPT_LIVE;
		return;
	}
	if (rc.state == RCPT_DONE) {
		log_result(r, "delivered", &rc);
		*keep = rc;
		note_success(r, jr, &rc);
	} else if (rc.state == RCPT_FAILED) {
		log_result(r, jr->status == JOB_DEFERRED ? "expired" : "failed", &rc);
		*keep = rc;
		if (is_post(r)) {
			post_bounced(
			    r->view.rec.ext.list, rc.address, rc.enhanced, rc.text);
			return;
		}
		if (jr->status == JOB_FAILED)
			notice_refused(r->view.rec.login_address, r->view.rec.client);
		if (wants(r, rc.notify, NOTIFY_FAILURE))
			note_add(r, BOUNCE_FAILED, &rc,
			    strcmp(rc.enhanced, jr->enhanced) != 0 ? jr->enhanced : NULL);
		else if (r->m->flags & QM_BOUNCE || r->view.rec.sender[0] == '\0')
			double_bounce(r, &rc);
	} else {
		log_fact(LOG_DELIVERY, LOGL_INFO, "deferred", KS("qid", r->qid),
		    KS("to", rc.address), KS("code", rc.enhanced), KS("mta", rc.mta),
		    KS("reply", rc.text), KU("attempts", rc.attempts),
		    KU("next", (uint64_t)rc.next));
		*keep = rc;
	}
}

/* What a recipient stood for; only with its delivery. */
static void
expands_apply(struct record *r, int pass)
{
	uint32_t num = r->m->nrcpt;

	for (uint32_t i = 0; i < r->job->nexpands; i++) {
		const struct job_expand *e = &r->job->expands[i];
		const struct job_rcpt *jr = job_rcpt_find(r->job, e->num);
		struct rec_rcpt rc = { 0 };

		if (jr == NULL || jr->status != JOB_DELIVERED || e->skip ||
		    num >= REC_RCPTS_MAX)
			continue;
		rc.num = num++;
		rc.state = RCPT_LIVE;
		/* The members of a list hear nothing of each other; and its address is of
		 * this host, which no forward has to change. */
		rc.notify = is_post(r) ? NOTIFY_FAILURE
				       : expanded_notify(r, jr) | NOTIFY_FORWARDED;
		rc.next = r->now;
		rc.has = REC_R_ADDRESS;
		rc.address = e->address;
		rc.orcpt = r->view.rcpts[e->num].orcpt;
		rcpt_put(r, &rc);
		if (pass == 0)
			r->nlive++;
		else if (!is_post(r))
			log_fact(LOG_DELIVERY, LOGL_INFO, "expanded", KS("qid", r->qid),
			    KS("to", r->view.rcpts[e->num].address),
			    KS("into", e->address));
	}
}

/* RFC 2852, 4.1.3: once. */
static void
by_warnings(struct record *r)
{
	if (r->flags & QM_BY_TOLD || !by_is_over(r, REC_BY_NOTIFY))
		return;
	r->flags |= QM_BY_TOLD;
	for (uint32_t i = 0; i < r->view.nrcpt; i++) {
		struct rec_rcpt rc = r->view.rcpts[i];

		if (rc.state != RCPT_LIVE || !wants(r, rc.notify, NOTIFY_DELAY))
			continue;
		rc.enhanced = "4.4.7";
		if (rc.text[0] == '\0')
			rc.text = "It could not be delivered in the time that was set "
				  "for it";
		note_add(r, BOUNCE_DELAYED, &rc, NULL);
	}
	/* One warning says it all. */
	if (r->notes[BOUNCE_DELAYED].n > 0)
		r->flags |= QM_WARNED;
}

static void
delay_warnings(struct record *r)
{
	if (r->flags & QM_WARNED)
		return;
	for (uint32_t i = 0; i < r->view.nrcpt; i++) {
		const struct rec_rcpt *rc = &r->view.rcpts[i];
		uint32_t after;

		if (rc->state != RCPT_LIVE || rc->attempts == 0 ||
		    !wants(r, rc->notify, NOTIFY_DELAY))
			continue;
		after = job_class(&r->view, i)->delay_warning_s;
		if (after != 0 && r->now >= (int64_t)r->m->created + after)
			note_add(r, BOUNCE_DELAYED, rc, NULL);
	}
	if (r->notes[BOUNCE_DELAYED].n > 0)
		r->flags |= QM_WARNED;
}

static int
address_is_ascii(const char *s)
{
	for (; *s != '\0'; s++) {
		if ((unsigned char)*s > 127)
			return 0;
	}
	return 1;
}

/* Compose a notification and encode its one recipient. 0 or -1. */
static int
note_make(struct record *r, enum bounce_action action, const uint8_t *content, size_t len)
{
	struct note *n = &r->notes[action];
	const struct rec_message *rec = &r->view.rec;
	char qid[QID_SIZE];
	struct rec_rcpt to = { 0 };
	struct bytes_out o = { 0 };
	struct bounce b = { 0 };
	char role[300];
	const char *sender =
	    rec->sender[0] != '\0' ? rec->sender : postmaster(role, sizeof(role));

	n->id = spool_id(queued.spool);
	if (n->id == 0)
		return -1;
	qid_format(n->id, qid);
	b.action = action;
	b.hostname = daemon_conf()->hostname;
	b.qid = r->qid;
	b.bounce_qid = qid;
	b.sender = sender;
	b.envid = rec->envid;
	b.hold = str(rec->ext.hold);
	b.by = rec->ext.by_mode != 0 ? rec->ext.by : 0;
	b.arrived = rec->created;
	b.now = r->now;
	/* Binary content fits into no part of a report that others pass on; content under
	 * REQUIRETLS stays out of it (RFC 8689, 5). */
	b.full = rec->ret != RET_HDRS && action == BOUNCE_FAILED &&
		 rec->body != BODY_BINARYMIME && rec->ext.tls != REC_TLS_REQUIRED;
	b.smtputf8 = (rec->flags & QM_SMTPUTF8) != 0;
	b.lang = language_of(sender);
	b.rcpts = n->rcpts;
	b.nrcpt = n->n;
	b.prefix = rec->prefix;
	b.prefix_len = rec->prefix_len;
	b.content = content;
	b.content_len = len;
	b.complete = len == rec->size;
	n->text = bounce_compose(&b, &n->len, &n->eightbit);
	if (n->text == NULL)
		return -1;
	to.state = RCPT_LIVE;
	to.next = r->now;
	to.notify = NOTIFY_NEVER;
	to.has = REC_R_ADDRESS;
	to.address = sender;
	to.orcpt = "";
	rec_rcpt_encode(&to, &o);
	n->list = malloc(o.len);
	if (n->list == NULL)
		return -1;
	o = (struct bytes_out){ .p = n->list, .cap = o.len };
	rec_rcpt_encode(&to, &o);
	n->sm.fd = -1;
	n->sm.data = (const uint8_t *)n->text;
	n->sm.rec.created = r->now;
	n->sm.rec.size = n->len;
	/* Its own header is ASCII: only the address of who gets it counts (RFC 6533, 4).
	 */
	n->sm.rec.flags = QM_BOUNCE | (address_is_ascii(sender) ? 0 : QM_SMTPUTF8);
	n->sm.rec.body = n->eightbit ? BODY_8BITMIME : BODY_7BIT;
	/* RFC 8689, 5 and 6; RFC 6710, 4.6. */
	n->sm.rec.ext.tls = rec->ext.tls;
	n->sm.rec.ext.priority = rec->ext.priority;
	n->sm.rec.ext.utf8_header = !address_is_ascii(sender);
	n->sm.rec.nrcpt = 1;
	n->sm.rec.rcpts = (struct bytes_in){ .p = n->list, .len = o.len };
	return 0;
}

static int
has_eightbit(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)s[i] > 127)
			return 1;
	return 0;
}

/* A message of a script, which counts with the result of its recipient. */
static int
outlet_make(struct record *r, struct job_outlet *out, struct note *n)
{
	const struct job_rcpt *jr = job_rcpt_find(r->job, out->num);
	struct rec_rcpt to = { 0 };
	struct bytes_out o = { 0 };

	if (jr == NULL || (jr->status != JOB_DELIVERED && jr->status != JOB_FAILED) ||
	    r->view.rcpts[out->num].state == RCPT_LIVE)
		return 0;
	if (out->kind == OUTLET_POST) {
		/* RFC 8689, 6: what is sent on is as secret as it was. */
		n->sm.rec.ext.tls = r->view.rec.ext.tls;
		if (post_make(out, r->now, &n->id, &n->sm, &n->list) == -1)
			return -1;
		n->sm.rec.flags |= r->view.rec.flags & QM_SMTPUTF8;
		n->sm.rec.ext.utf8_header = r->view.rec.ext.utf8_header;
		return 0;
	}
	if ((n->id = spool_id(queued.spool)) == 0 ||
	    (n->text = outlet_text(out, n->id, r->now, &n->len)) == NULL)
		return -1;
	to.state = RCPT_LIVE;
	to.next = r->now;
	to.notify = out->kind == OUTLET_REDIRECT ? NOTIFY_FORWARDED : NOTIFY_NEVER;
	to.has = REC_R_ADDRESS;
	to.address = out->address;
	to.orcpt = "";
	rec_rcpt_encode(&to, &o);
	if ((n->list = malloc(o.len)) == NULL)
		return -1;
	o = (struct bytes_out){ .p = n->list, .cap = o.len };
	rec_rcpt_encode(&to, &o);
	n->eightbit = has_eightbit(n->text, n->len);
	n->sm.fd = -1;
	n->sm.data = (const uint8_t *)n->text;
	n->sm.rec.created = r->now;
	n->sm.rec.size = n->len;
	/* From nobody, or from whom the message is that was edited. */
	if (out->kind == OUTLET_REDIRECT)
		n->sm.rec.sender = r->view.rec.sender;
	n->sm.rec.client = "sieve";
	n->sm.rec.flags = r->view.rec.flags & QM_SMTPUTF8;
	n->sm.rec.body = n->eightbit ? BODY_8BITMIME : BODY_7BIT;
	/* RFC 8689, 6: what is sent on, or about it, is as secret as itself. */
	n->sm.rec.ext.tls = r->view.rec.ext.tls;
	n->sm.rec.nrcpt = 1;
	n->sm.rec.rcpts = (struct bytes_in){ .p = n->list, .len = o.len };
	return 0;
}

static int
outlets_make(struct record *r)
{
	if (r->job->noutlets == 0)
		return 0;
	if ((r->sent = calloc(r->job->noutlets, sizeof(*r->sent))) == NULL)
		return -1;
	for (uint32_t i = 0; i < r->job->noutlets; i++)
		if (outlet_make(r, &r->job->outlets[i], &r->sent[i]) == -1)
			return -1;
	return 0;
}

static void
log_outlet(const struct record *r, const struct job_outlet *out, const struct note *n)
{
	static const char *const kinds[] = { "", "redirect", "reply", "notice", "post" };
	char qid[QID_SIZE];

	qid_format(n->id, qid);
	log_fact(LOG_DELIVERY, LOGL_INFO, out->kind == OUTLET_POST ? "posted" : "sieve",
	    KS("qid", r->qid), KS("sent", kinds[out->kind]), KS("as", qid),
	    KS("for", r->view.rcpts[out->num].address), KS("to", out->address));
	log_fact(LOG_SMTP, LOGL_INFO, "queued", KS("qid", qid),
	    KS("from", n->sm.rec.sender != NULL ? n->sm.rec.sender : ""),
	    KU("size", n->len), KU("nrcpt", 1), KS("about", r->qid));
}

static void
on_note_durable(int error, void *arg)
{
	uint64_t *id = arg;

	if (error == 0)
		deliver_admit(*id);
	free(id);
}

static void
log_note(const struct record *r, enum bounce_action action)
{
	static const char *const events[] = { "bounced", "warned", "reported", "reported",
		"reported" };
	const struct note *n = &r->notes[action];
	char qid[QID_SIZE];

	qid_format(n->id, qid);
	log_fact(LOG_DELIVERY, LOGL_INFO, events[action], KS("qid", r->qid),
	    KS("notice", qid),
	    KS("to", r->view.rec.sender[0] != '\0' ? r->view.rec.sender : "postmaster"),
	    KU("nrcpt", n->n));
	log_fact(LOG_SMTP, LOGL_INFO, "queued", KS("qid", qid), KS("from", ""),
	    KU("size", n->len), KU("nrcpt", 1), KS("about", r->qid));
}

/* Everything in one group: notifications first, what ends it last. */
static int
group_write(struct record *r)
{
	uint32_t room = 0;
	int nnotes = 0;

	for (size_t i = 0; i < BOUNCE_ACTIONS; i++) {
		if (r->notes[i].text == NULL)
			continue;
		room += spool_message_len(&r->notes[i].sm);
		nnotes++;
	}
	for (uint32_t i = 0; r->sent != NULL && i < r->job->noutlets; i++) {
		if (r->sent[i].id == 0)
			continue;
		room += spool_message_len(&r->sent[i].sm);
		nnotes++;
	}
	room += r->nlive == 0 ? spool_removed_len() : spool_state_len(r->out.len);
	if (spool_room(queued.spool, room, 1) == -1)
		return -1;
	for (size_t i = 0; i < BOUNCE_ACTIONS; i++) {
		struct note *n = &r->notes[i];

		if (n->text != NULL &&
		    spool_put_message(queued.spool, n->id, &n->sm, 1) == NULL)
			return -1;
	}
	for (uint32_t i = 0; r->sent != NULL && i < r->job->noutlets; i++)
		if (r->sent[i].id != 0 && spool_put_message(queued.spool, r->sent[i].id,
					      &r->sent[i].sm, 1) == NULL)
			return -1;
	if (r->nlive == 0) {
		if (spool_put_removed(queued.spool, r->m, 0) == -1)
			return -1;
		log_fact(LOG_DELIVERY, LOGL_INFO, "removed", KS("qid", r->qid));
	} else if (spool_put_state(queued.spool, r->m, r->flags, r->nout, r->list,
		       r->out.len, 0) == NULL)
		return -1;
	for (size_t i = 0; i < BOUNCE_ACTIONS; i++) {
		uint64_t *id;

		if (r->notes[i].text == NULL)
			continue;
		log_note(r, (enum bounce_action)i);
		id = malloc(sizeof(*id));
		if (id == NULL)
			continue; /* it is live after the next start */
		*id = r->notes[i].id;
		spool_commit(queued.spool, 1, on_note_durable, id);
	}
	for (uint32_t i = 0; r->sent != NULL && i < r->job->noutlets; i++) {
		uint64_t *id;

		if (r->sent[i].id == 0)
			continue;
		post_kept(&r->job->outlets[i]);
		log_outlet(r, &r->job->outlets[i], &r->sent[i]);
		if ((id = malloc(sizeof(*id))) == NULL)
			continue;
		*id = r->sent[i].id;
		spool_commit(queued.spool, 1, on_note_durable, id);
	}
	if (nnotes == 0)
		spool_commit(queued.spool, 0, NULL, NULL);
	return 0;
}

static int
notes_make(struct record *r)
{
	uint8_t *content = NULL;
	ssize_t len = 0;
	int rv = 0, any = 0;

	for (size_t i = 0; i < BOUNCE_ACTIONS; i++)
		any |= r->notes[i].n > 0;
	if (!any)
		return 0;
	content = malloc(ORIGINAL_READ);
	if (content == NULL)
		return -1;
	len = spool_read(queued.spool, r->m, &r->view, content, ORIGINAL_READ);
	if (len == -1)
		len = 0; /* the report goes out without it */
	for (size_t i = 0; i < BOUNCE_ACTIONS && rv == 0; i++) {
		if (r->notes[i].n > 0)
			rv = note_make(r, (enum bounce_action)i, content, (size_t)len);
	}
	free(content);
	return rv;
}

static void
shorten(char *s, size_t max)
{
	if (s != NULL && strlen(s) > max)
		s[max] = '\0';
}

int
result_record(struct job *j)
{
	struct record r = { .job = j };
	int rv = -1;

	r.m = index_find(spool_index(queued.spool), j->msg);
	if (r.m == NULL || r.m->flags & QM_DEAD)
		return 0;
	if (spool_view(queued.spool, r.m, &r.view) == -1)
		return -1;
	for (uint32_t i = 0; j->nrcpt > RCPTS_IN_FULL && i < j->nrcpt; i++) {
		shorten(j->rcpts[i].words, SHORT_WORDS);
		shorten(j->rcpts[i].mta, SHORT_NAME);
	}
	r.now = queue_now();
	r.flags = r.m->flags;
	qid_format(r.m->id, r.qid);
	/* Recipients of other jobs. */
	for (uint32_t i = 0; i < r.m->nrcpt; i++) {
		if (r.m->rcpt[i].state == RCPT_LIVE && job_rcpt_find(j, i) == NULL)
			r.nlive++;
	}
	expands_check(j, &r.view);
	for (uint32_t i = 0; i < j->nrcpt; i++)
		rcpt_apply(&r, &j->rcpts[i], 0);
	expands_apply(&r, 0);
	if (r.nout == 0 && (r.flags & QM_BY_TOLD || !by_is_over(&r, REC_BY_NOTIFY))) {
		rv = 0;
		goto out;
	}
	r.list = malloc(r.out.len + 1);
	if (r.list == NULL)
		goto out;
	r.out = (struct bytes_out){ .p = r.list, .cap = r.out.len };
	r.nout = 0;
	for (uint32_t i = 0; i < j->nrcpt; i++)
		rcpt_apply(&r, &j->rcpts[i], 1);
	expands_apply(&r, 1);
	by_warnings(&r);
	delay_warnings(&r);
	if (notes_make(&r) == -1 || outlets_make(&r) == -1)
		goto out;
	rv = group_write(&r);
out:
	for (size_t i = 0; i < BOUNCE_ACTIONS; i++) {
		free(r.notes[i].rcpts);
		free(r.notes[i].text);
		free(r.notes[i].list);
	}
	for (uint32_t i = 0; r.sent != NULL && i < j->noutlets; i++) {
		free(r.sent[i].text);
		free(r.sent[i].list);
	}
	free(r.sent);
	free(r.list);
	spool_view_clear(&r.view);
	return rv;
}
