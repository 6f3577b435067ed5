import type { Pattern } from './schema.ts';

/** Patterns of strings in the resources, each with what to write where it does not match. */

const DNS_LABEL = '[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?';
const DNS_NAME = `${DNS_LABEL}([.]${DNS_LABEL})*`;
const PORT = '([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])';

/** A DNS name, an IPv4 address, or an IPv6 address in brackets; then perhaps a port. */
export const hostnamePattern = {
  expression: `^(${DNS_NAME}|\\[[0-9a-f:.]+\\])(:${PORT})?$`,
  message:
    'not a host name: write a lower-case DNS name or an IP address, an IPv6 address in brackets, perhaps with :port, and no https:// or path',
} as const satisfies Pattern;

/** A DNS name or an IPv4 address, then perhaps a port: what names of images begin with, and of repositories in a mirror. */
export const registryHostPattern = {
  expression: `^${DNS_NAME}(:${PORT})?$`,
  message:
    'not the host of a registry: write what names of images begin with, in lower case, perhaps with :port, and no https:// or path',
} as const satisfies Pattern;

/** A DNS name as a certificate may carry it: the first label may be `*`. */
export const certificateNamePattern = {
  expression: `^([*][.])?${DNS_NAME}$`,
  message: 'not a DNS name: write it in lower case without port and scheme; addresses belong in ipAddresses',
} as const satisfies Pattern;

/** A DNS name, or something with a slash that CEL checks to be a range of addresses. */
export const permittedNamePattern = {
  expression: `^(${DNS_NAME}|[0-9a-fA-F.:]+/[0-9]{1,3})$`,
  message: 'not a name to permit: write a lower-case DNS name without *, or a range such as 10.0.0.0/8',
} as const satisfies Pattern;

/** The name of a Kubernetes object (RFC 1123 subdomain). */
export const objectNamePattern = {
  expression: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$',
  message:
    "not the name of an object: use lower-case letters, digits, '-' and '.', and begin and end with a letter or digit",
} as const satisfies Pattern;

/** The name of a namespace (RFC 1123 label). */
export const namespacePattern = {
  expression: `^${DNS_LABEL}$`,
  message: "not the name of a namespace: use lower-case letters, digits and '-'",
} as const satisfies Pattern;

/** A key of a Secret's data. */
export const secretKeyPattern = {
  expression: '^[-._a-zA-Z0-9]+$',
  message: "not a key of a Secret: use letters, digits, '-', '_' and '.'",
} as const satisfies Pattern;

/**
 * A name that may stand in a line of htpasswd and in Basic credentials (RFC 7617): visible ASCII without the colon
 * that ends it, and without the `#` that begins a comment.
 */
export const userNamePattern = {
  expression: '^[!"$-9;-~][!-9;-~]*$',
  message: "not a user name: use visible ASCII characters without ':' and blanks, and do not begin with '#'",
} as const satisfies Pattern;

/**
 * A duration as Go writes it, from hours down to milliseconds. Six digits before each unit keep the sum inside Go's
 * 292 years, so that reading it in a CEL rule cannot fail.
 */
export const durationPattern = {
  expression:
    '^(0|([0-9]{1,6}([.][0-9]{1,3})?h)?([0-9]{1,6}([.][0-9]{1,3})?m)?([0-9]{1,6}([.][0-9]{1,3})?s)?([0-9]{1,6}ms)?)$',
  message: 'not a duration: write numbers with the units h, m, s or ms in this order, such as 90m or 1h30m',
} as const satisfies Pattern;

/** A resource quantity that is not negative. */
export const quantityPattern = {
  expression: '^([0-9]+([.][0-9]*)?|[.][0-9]+)([KMGTPE]i|[munkMGTPE]|[eE][+-]?[0-9]{1,2})?$',
  message: 'not a quantity: write a number and perhaps a unit, such as 250m, 2 or 512Mi',
} as const satisfies Pattern;

/** A number of bytes as a quantity. */
export const sizePattern = {
  expression: '^([0-9]+([.][0-9]*)?|[.][0-9]+)([KMGTPE]i|[kMGTPE]|[eE][+]?[0-9]{1,2})?$',
  message: 'not a size: write a number of bytes, perhaps with a unit, such as 20Gi or 1.5T',
} as const satisfies Pattern;

/** Five fields of a crontab line, or a macro. Whether the values make sense is for the scheduler to say. */
export const schedulePattern = {
  expression:
    '^(@(yearly|annually|monthly|weekly|daily|midnight|hourly)|[-0-9a-zA-Z*/,]+( +[-0-9a-zA-Z*/,]+){4})$',
  message:
    "not a schedule: write five fields such as '0 3 * * *', or @daily; a time zone belongs in timeZone",
} as const satisfies Pattern;

/** A name of the IANA time zone database. */
export const timeZonePattern = {
  expression: '^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$',
  message: 'not a time zone: write a name of the IANA database, such as Europe/Rome or Etc/UTC',
} as const satisfies Pattern;

/** A bucket or container of a cloud, as far as they agree. */
export const bucketPattern = {
  expression: '^[A-Za-z0-9][-._A-Za-z0-9]*$',
  message:
    "not the name of a bucket or container: use letters, digits, '-', '_' and '.'; a folder in it belongs in rootDirectory or prefix",
} as const satisfies Pattern;

/** A URL without user, query and fragment, or a host, perhaps with a port. */
export const endpointPattern = {
  expression: '^(https?://)?[-.:A-Za-z0-9\\[\\]]+(/[-._~A-Za-z0-9/]*)?$',
  message:
    'not an endpoint: write a URL such as https://store.example.com:9000, without credentials and query; credentials belong in the Secret',
} as const satisfies Pattern;

/** A URL with nothing but scheme, host and port. */
export const originPattern = {
  expression: `^https?://(${DNS_NAME}|\\[[0-9a-f:.]+\\])(:${PORT})?$`,
  message:
    'not the URL of a registry: write https://host or https://host:port in lower case, without a path, and without user and password',
} as const satisfies Pattern;

/** `host:port`, an IPv6 address in brackets. */
export const addressPattern = {
  expression: `^([A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?|\\[[0-9a-fA-F:.]+\\]):${PORT}$`,
  message: 'not an address: write host:port, such as redis.cache.svc:6379, an IPv6 address in brackets',
} as const satisfies Pattern;

/** An http or https URL without user and password, which would stand in a ConfigMap. */
export const plainUrlPattern = {
  expression: '^https?://[^/?#@ ]+([/?][^# ]*)?$',
  message:
    'not a URL: write one with http:// or https:// and without user and password; credentials belong in the Secret of secretRef',
} as const satisfies Pattern;

/** A name of a group of users. */
export const groupNamePattern = {
  expression: '^[A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?$',
  message:
    "not the name of a group: use letters, digits, '-', '_' and '.', and begin and end with a letter or digit",
} as const satisfies Pattern;

/** A pattern of repositories, as access rules and rules of retention have it. */
export const repositoryGlobPattern = {
  expression: '^[-a-z0-9._/*]+$',
  message:
    'not a pattern of repositories: write lower-case names in which * stands for anything but a slash and ** for anything',
} as const satisfies Pattern;

/** A pattern of tags. */
export const tagGlobPattern = {
  expression: '^[-A-Za-z0-9_.*]+$',
  message: 'not a pattern of tags: write names in which * stands for anything, such as v* or *-rc*',
} as const satisfies Pattern;
