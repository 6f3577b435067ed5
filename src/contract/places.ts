/** What the operator and the registry server agree on without importing each other: ports, paths, URL paths. */

/** The OCI API, as in docker's registry image. */
export const REGISTRY_PORT = 5000;
/** Metrics, health, readiness and /status. */
export const STATUS_PORT = 5001;

export const CONFIG_FILE = '/etc/docker/registry/config.yml';
export const STORAGE_ROOT = '/var/lib/registry';
/** A Secret volume: `tls.crt` and `tls.key`. */
export const CERTIFICATE_FOLDER = '/etc/stevedore/tls';
/** A Secret volume: `htpasswd`. */
export const HTPASSWD_FOLDER = '/etc/stevedore/htpasswd';
/** A Secret volume: keys that sign tokens. */
export const TOKEN_KEYS_FOLDER = '/etc/stevedore/token-keys';
/** A ConfigMap volume: authorities of client certificates. */
export const CLIENT_AUTHORITIES_FOLDER = '/etc/stevedore/client-authorities';
/** A ConfigMap volume: rules of access. */
export const ACCESS_FOLDER = '/etc/stevedore/access';

/** Secret volumes, one for each upstream of a mirror: its credentials and `ca.crt`. */
export const UPSTREAMS_FOLDER = '/etc/stevedore/upstreams';

export const HEALTH_PATH = '/healthz';
export const READY_PATH = '/readyz';
export const STATUS_PATH = '/status';
export const METRICS_PATH = '/metrics';
