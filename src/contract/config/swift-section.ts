import type { Decoded, ObjectField } from './fields.ts';

/** `storage.swift`: OpenStack Swift, and Ceph's object gateway by its Swift API. */
export const swiftSection = {
  type: 'object',
  optional: true,
  namedByKey: true,
  description:
    "Stores in a container of OpenStack Swift or of Ceph's object gateway, in the layout of docker distribution 2.8.",
  fields: {
    authurl: {
      type: 'string',
      format: 'url',
      description:
        'Where to log in: `http://host:7480/auth/v1` of a Ceph gateway, `https://host:5000/v3` of Keystone.',
    },
    authversion: {
      type: 'integer',
      minimum: 0,
      maximum: 3,
      default: 0,
      description:
        'Version of the login: 1 (TempAuth, Ceph), 2 or 3 (Keystone). 0 takes the first of v3, v2 and v1 that `authurl` holds.',
    },
    username: { type: 'string', description: 'User; `account:user` with version 1.' },
    password: { type: 'string', secret: true, description: 'Password or key of the user.' },
    container: { type: 'string', description: 'The container. It is made when it is missing.' },
    tenant: { type: 'string', optional: true, description: 'Name of the tenant or project.' },
    tenantid: { type: 'string', optional: true, description: 'Identifier of the tenant or project.' },
    domain: {
      type: 'string',
      optional: true,
      description: "Name of the user's domain, version 3. Without it `Default`.",
    },
    domainid: { type: 'string', optional: true, description: "Identifier of the user's domain, version 3." },
    tenantdomain: {
      type: 'string',
      optional: true,
      description: "Name of the project's domain, version 3. Without it the user's, else `Default`.",
    },
    tenantdomainid: {
      type: 'string',
      optional: true,
      description: "Identifier of the project's domain, version 3.",
    },
    trustid: {
      type: 'string',
      optional: true,
      description: 'Identifier of a trust to act on, version 3. It takes the place of the project.',
    },
    region: {
      type: 'string',
      optional: true,
      description: "Region in Keystone's catalog. Without it the first that offers object storage.",
    },
    endpointtype: {
      type: 'string',
      values: ['public', 'internal', 'admin'],
      default: 'public',
      description: "Which of the region's addresses is used.",
    },
    prefix: {
      type: 'string',
      default: '',
      description: 'Beginning of the names of all objects: `<prefix>/files/docker/registry/…`.',
    },
    rootdirectory: {
      type: 'obsolete',
      description:
        'docker distribution reads `prefix` in its place, so that what it stored is not below this folder.',
    },
    chunksize: {
      type: 'integer',
      minimum: 1024 * 1024,
      default: 20 * 1024 * 1024,
      description: 'Most bytes of one segment of a large object. Many uploads at once make smaller ones.',
    },
    insecureskipverify: {
      type: 'boolean',
      default: false,
      description: 'Accepts any certificate of the login and of the storage.',
    },
    secretkey: {
      type: 'string',
      optional: true,
      secret: true,
      description:
        'Key of temporary URLs, which is set on the container or the account when another is there. With it deletes of a garbage collection expire with its lease.',
    },
    accesskey: {
      type: 'string',
      optional: true,
      description: 'Goes into the signature of temporary URLs, as HP Cloud wants it.',
    },
    tempurlcontainerkey: {
      type: 'boolean',
      default: false,
      description:
        "Tries the container's key of temporary URLs before the account's, where `/info` does not tell.",
    },
    tempurlmethods: {
      type: 'list',
      of: { type: 'string', description: 'An HTTP method.' },
      description:
        'Methods of temporary URLs where `/info` does not tell. A Ceph gateway needs `[GET]` to send clients to the storage.',
    },
  },
} as const satisfies ObjectField;

export type SwiftOptions = Decoded<typeof swiftSection>;

/** The version of the login, undefined when it has to be said. docker distribution 2.8 looks for them in this order. */
export function detectAuthVersion({
  authversion,
  authurl,
}: Pick<SwiftOptions, 'authversion' | 'authurl'>): 1 | 2 | 3 | undefined {
  return ([3, 2, 1] as const).find((version) =>
    authversion === 0 ? authurl.includes(`v${version}`) : authversion === version,
  );
}

/** What is wrong with options together, by the key within the section. */
export function swiftProblems(options: SwiftOptions): readonly { key: string; message: string }[] {
  const message = 'is required, since authurl holds none of v1, v2 and v3';
  return detectAuthVersion(options) === undefined ? [{ key: 'authversion', message }] : [];
}
