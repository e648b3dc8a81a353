/* SPDX-License-Identifier: ISC */
#ifndef FIFE_IMAP_CAPABILITY_H
#define FIFE_IMAP_CAPABILITY_H

#include <stdbool.h>
#include <stdint.h>

/* What is announced before and after the login: the front sends both at their moments,
 * the mailbox process answers CAPABILITY with the latter. */
#define IMAP_CAPABILITY_BASE "IMAP4rev1 IMAP4rev2 LITERAL+ ID ENABLE"
#define IMAP_APPEND_MAX 67108864
#define IMAP_CAPABILITY_LOGGED_IN                                                      \
	IMAP_CAPABILITY_BASE                                                           \
	" IDLE NAMESPACE UIDPLUS MOVE ESEARCH UNSELECT CHILDREN "                      \
	"SPECIAL-USE CREATE-SPECIAL-USE STATUS=SIZE APPENDLIMIT=67108864 "             \
	"CONDSTORE QRESYNC LIST-EXTENDED LIST-STATUS SEARCHRES WITHIN PARTIAL "        \
	"SORT SORT=DISPLAY ESORT THREAD=ORDEREDSUBJECT THREAD=REFERENCES THREAD=REFS " \
	"OBJECTID SAVEDATE PREVIEW UIDONLY "                                           \
	"MULTIAPPEND CATENATE REPLACE BINARY UTF8=ACCEPT COMPRESS=DEFLATE "            \
	"ACL RIGHTS=kxte LIST-MYRIGHTS "                                               \
	"QUOTA QUOTA=RES-STORAGE QUOTA=RES-MESSAGE I18NLEVEL=1 METADATA INPROGRESS "   \
	"CONTEXT=SEARCH "                                                              \
	"CONTEXT=SORT NOTIFY MULTISEARCH FILTERS LIST-METADATA SEARCH=FUZZY "          \
	"UNAUTHENTICATE URLAUTH URLAUTH=BINARY"

/* What is announced only sometimes. */
struct imap_offer {
	uint32_t message_limit; /* 0: none; otherwise save_limit is not announced */
	uint32_t save_limit;
	bool quotaset;
};
#define IMAP_OFFER_MAX 80
/* To follow IMAP_CAPABILITY_LOGGED_IN. Returns out. */
const char *imap_offer_print(const struct imap_offer *, char out[IMAP_OFFER_MAX]);

#endif
