/* SPDX-License-Identifier: ISC */
#ifndef FIFE_MSG_H
#define FIFE_MSG_H

#include <stddef.h>
#include <stdint.h>

#include "common/compat/imsg.h"
#include "common/role.h"

/* Raised by any change that an older peer would misread. */
#define MSG_VERSION 1

enum msg_type {
#define MSG(num, name, from, to, payload, flags) MSG_##name = (num),
#include "common/msg.def"
#undef MSG
};

/* struct msg_X of each payload of common/payload.def. */
#define F_U8(n) uint8_t n;
#define F_U16(n) uint16_t n;
#define F_U32(n) uint32_t n;
#define F_U64(n) uint64_t n;
#define F_I64(n) int64_t n;
#define F_STR(n, max) char n[(max) + 1];
#define F_BYTES(n, max)   \
	const uint8_t *n; \
	size_t n##_len;
#define PAYLOAD(name, fields) \
	struct msg_##name {   \
		fields        \
	};
#include "common/payload.def"
#undef PAYLOAD
#undef F_U8
#undef F_U16
#undef F_U32
#undef F_U64
#undef F_I64
#undef F_STR
#undef F_BYTES

/* Both return 0, or -1 when a field is beyond its bound (encode: or no memory). */
#define PAYLOAD(name, fields)                                              \
	int msg_##name##_encode(const struct msg_##name *, struct ibuf *); \
	int msg_##name##_decode(struct ibuf *, struct msg_##name *);
#include "common/payload.def"
#undef PAYLOAD

/*
 * A decoded message. F_BYTES fields borrow from the channel's buffer: copy
 * what must outlive the callback.
 */
struct msg {
	enum msg_type type;
	uint64_t id; /* of the request; 0 where there is none */
	int fd;      /* or -1; whoever wants it calls msg_take_fd() */
	union {
#define PAYLOAD(name, fields) struct msg_##name name;
#include "common/payload.def"
#undef PAYLOAD
	} p;
};

#define MSG_F_FD 0x01    /* must carry a descriptor */
#define MSG_F_FDOPT 0x02 /* may carry one */
#define MSG_F_ANSWER 0x04
#define MSG_F_PART 0x08  /* an answer that more of them follow */
#define MSG_F_HELLO 0x10 /* opens a channel, never comes again */

/* A row of the catalogue. */
struct msg_info {
	enum msg_type type;
	const char *name;
	uint32_t from; /* sets of ROLE_BIT() */
	uint32_t to;
	int flags;
	int (*encode)(const void *, struct ibuf *);
	int (*decode)(struct ibuf *, void *);
	size_t size; /* of the payload struct */
};

/* NULL for a number that is not in the catalogue. */
const struct msg_info *msg_info(uint32_t type);
/* Walk the table: i from 0 until NULL. For tests. */
const struct msg_info *msg_info_at(size_t i);
/* Is that the kind of answer that belongs to this request? */
int msg_answers(enum msg_type request, enum msg_type answer);
/* The name without MSG_, or "unknown". */
const char *msg_name(uint32_t type);

/*
 * Decode the body of a message (id and payload) into m. -1 when it is not
 * exactly right: short, over a bound, or anything left over. m->fd is not
 * touched.
 */
int msg_decode(uint32_t type, struct ibuf *, struct msg *m);
/* Encode id and payload; payload is a struct msg_X of the type's row. */
int msg_encode(enum msg_type, uint64_t id, const void *payload, struct ibuf *);

/* The descriptor is the caller's from now on; -1 when there is none (any more). */
int msg_take_fd(struct msg *);

/* The values of small fields. */

/* status in payloads, where nothing else is said */
enum answer_status {
	MSG_OK,
	MSG_TEMP,
	MSG_PERM,
	MSG_FULL,
	MSG_UNKNOWN,
	MSG_DENIED
};

enum listener_kind {
	LISTENER_SMTP = 1,   /* port 25: strangers */
	LISTENER_SUBMISSION, /* login needed */
	LISTENER_LOCAL,      /* Unix socket of sendmail(8): peer credentials */
	LISTENER_LMTP,
	LISTENER_IMAP,
	LISTENER_POP3,
	LISTENER_SIEVE /* ManageSieve */
};

/* MT-PRIORITY and the name of its policy (RFC 6710, 9.2). */
enum mt_priority {
	MT_PRIORITY_OFF,
	MT_PRIORITY_ON, /* without a name */
	MT_PRIORITY_MIXER,
	MT_PRIORITY_STANAG4406,
	MT_PRIORITY_NSEP
};

enum listener_tls {
	LISTENER_TLS_NONE,
	LISTENER_TLS_STARTTLS,
	LISTENER_TLS_IMPLICIT
};

enum service {
	SERVICE_SMTP = 1,
	SERVICE_IMAP,
	SERVICE_POP3,
	SERVICE_SIEVE
};

/* conf_gate: a check that refuses whatever the score is */
#define GATE_CHECK_REFUSE UINT32_MAX

/* rcpt_class.rclass and route.rclass */
enum rclass {
	RCLASS_LOCAL = 1, /* ours, exists */
	RCLASS_REMOTE,    /* not our domain: relay */
	RCLASS_UNKNOWN,   /* our domain, no such user */
	RCLASS_DISABLED,
	RCLASS_FULL,
	RCLASS_DENIED, /* for this sender; text says why */
	RCLASS_TEMP,
	RCLASS_GREY,        /* not yet: greylisted */
	RCLASS_LIMIT,       /* this login has sent enough for now; text says what */
	RCLASS_BLOCKED,     /* by the recipient's own list; text says so */
	RCLASS_MANY,        /* enough recipients in this message */
	RCLASS_SIZE,        /* the message is larger than this login may send */
	RCLASS_OTHER_OWNER, /* not the one since then (RFC 7293) */
	RCLASS_NO_OWNER,    /* nobody knows since when */
	RCLASS_FULL_HARD,   /* as RCLASS_FULL, and waiting is no use */
	RCLASS_NULL_MX      /* not our domain, and it takes no mail (RFC 7505) */
};

/* conf_watch.action */
enum watch_action {
	WATCH_OFF,
	WATCH_NOTE,     /* named and mailed only */
	WATCH_THROTTLE, /* few recipients an hour */
	WATCH_HOLD      /* its mail waits in the queue */
};

/* rcpt_class.allowed */
#define RCPT_ALLOWED 1      /* by the system's list */
#define RCPT_ALLOWED_HERE 2 /* by this recipient's */

/* What the recipient's own list says about a message: beside NOTIFY in the notify octet
 * of txn_rcpt and job_rcpt, and in rcpt_class.filing. */
#define RCPT_NEVER_JUNK 0x40
#define RCPT_TO_JUNK 0x80
#define RCPT_FILING (RCPT_NEVER_JUNK | RCPT_TO_JUNK)

enum sasl_status {
	SASL_OK = 1,
	SASL_CONTINUE,
	SASL_DENIED,
	SASL_TEMP,
	SASL_BAD,
	SASL_TOO_SOON /* after the user's last login by POP3 (RFC 2449, 8.1.1) */
};

enum target_kind {
	TARGET_MAILBOX = 1,
	TARGET_FORWARD,
	TARGET_COMMAND, /* a program of the site */
	TARGET_LIST
};

/* list_is.standing: what somebody is to a list */
#define LIST_IS_MEMBER 0x01
#define LIST_IS_OWNER 0x02
#define LIST_IS_POSTER 0x04
#define LIST_IS_UPPER 0x08 /* the message is a post of a list that this one is in */
/* Its author would be more, but no login shows that he wrote it. */
#define LIST_IS_UNPROVED 0x10

/* list_act.verb */
enum list_verb {
	LIST_ACT_JOIN = 1,    /* address asks to be a member: it has to confirm */
	LIST_ACT_LEAVE,       /* the same for the opposite */
	LIST_ACT_CONFIRM,     /* token: of either */
	LIST_ACT_UNSUBSCRIBE, /* token: of a post */
	LIST_ACT_BOUNCE       /* token: of the reverse-path */
};

enum mbox_purpose {
	MBOX_IMAP = 1,
	MBOX_POP3,
	MBOX_DELIVER,
	MBOX_ADMIN,
	MBOX_SIEVE,
	MBOX_SHARED, /* another user's, with his rights */
	MBOX_URLAUTH /* parts of it, by URLs that authorise (RFC 4467) */
};

/* mbox_admin.verb */
enum mbox_admin_verb {
	MBOX_PURGE = 1,
	MBOX_REINDEX,
	MBOX_EXPORT, /* to the descriptor that came along */
	MBOX_IMPORT  /* from it */
};
/* mbox_admin.options */
#define MBOX_ADMIN_DRY_RUN 0x01
#define MBOX_ADMIN_MBOX 0x02    /* mbox rather than a tar of a Maildir */
#define MBOX_ADMIN_DOVECOT 0x04 /* Dovecot's own files in a tar are obeyed */

/* acl.verb */
enum acl_verb {
	ACL_VERB_LIST = 1,
	ACL_VERB_SET, /* rights as of SETACL: "lrs", "+s", "-w" */
	ACL_VERB_DELETE
};

/* outlet.kind: what a script sends */
enum outlet_kind {
	OUTLET_REDIRECT = 1, /* the message, or an edited one, from its own sender */
	OUTLET_REPLY,        /* to the sender of the message, from <> */
	OUTLET_NOTICE,       /* to anybody, from <> */
	OUTLET_POST          /* of a mailing list, to its members */
};

/* script.verb */
enum script_verb {
	SCRIPT_LIST = 1,
	SCRIPT_GET,
	SCRIPT_PUT,
	SCRIPT_CHECK,
	SCRIPT_DELETE,
	SCRIPT_RENAME,
	SCRIPT_ACTIVATE /* no name: none is active */
};

enum body_type {
	BODY_7BIT,
	BODY_8BITMIME,
	BODY_BINARYMIME
};

enum disposition {
	DISPOSITION_ACCEPT = 1,
	DISPOSITION_JUNK,
	DISPOSITION_QUARANTINE
};

enum job_status {
	JOB_DELIVERED = 1,
	JOB_DEFERRED,
	JOB_FAILED
};

enum dns_status {
	DNS_OK = 1,
	DNS_NXDOMAIN,
	DNS_NODATA,
	DNS_TEMP,
	DNS_BOGUS,
	DNS_NULL_MX
};

/* sts_policy.mode */
enum sts_mode {
	STS_NONE,
	STS_TESTING,
	STS_ENFORCE
};

enum verdict {
	VERDICT_ACCEPT = 1,
	VERDICT_JUNK,
	VERDICT_QUARANTINE,
	VERDICT_REJECT,
	VERDICT_DEFER
};

enum scan_status {
	SCAN_CLEAN = 1,
	SCAN_FOUND,
	SCAN_ERROR
};

enum rule_field {
	RULE_HEADER = 1,
	RULE_SENDER,
	RULE_RECIPIENT,
	RULE_CLIENT,
	RULE_HELO,
	RULE_BODY
};

#endif
