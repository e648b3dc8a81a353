/*
 * Credentials of the peer of a local socket.
 *
 * SPDX-License-Identifier: ISC
 */
#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>

#include "common/compat/compat.h"

int
compat_peer_uid(int fd, uid_t *uid, gid_t *gid)
{
#ifdef SO_PEERCRED
#ifdef __OpenBSD__
	struct sockpeercred cred;
#else
	struct ucred cred;
#endif
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == -1)
		return -1;
	/*
	 * Linux answers for any socket; one without a local peer has no
	 * process and the overflow ids, which must not pass for a user.
	 */
	if (len != sizeof(cred) || cred.uid == (uid_t)-1) {
		errno = ENOTCONN;
		return -1;
	}
	*uid = cred.uid;
	if (gid != NULL)
		*gid = cred.gid;
	return 0;
#else
	gid_t unused;

	return getpeereid(fd, uid, gid != NULL ? gid : &unused);
#endif
}
