/**
 * How a pod ends. While it drains no other pod serves (one writer a volume), so this weighs uploads in progress
 * against the time that everybody else waits.
 */

/** The endpoint is gone from every node by then, so that no new connection meets a server that drains. */
export const ENDPOINT_SECONDS = 3;
/** How long requests in progress may go on. */
export const DRAIN_SECONDS = 60;
/** After that the kubelet kills the server, which by then has ended by itself. */
export const GRACE_SECONDS = ENDPOINT_SECONDS + DRAIN_SECONDS + 12;
