import {
  dataKey,
  duration,
  durationWithDefault,
  eitherObject,
  namespaceNames,
  objectName,
  SECRET_LABEL,
  secretRef,
} from './field-schemas.ts';
import { certificateNamePattern, permittedNamePattern } from './formats.ts';
import type { ObjectSchema } from './schema.ts';

const dnsNames = {
  type: 'array',
  maxItems: 32,
  'x-kubernetes-list-type': 'set',
  description:
    'More DNS names for the certificate. The host of `hostname` and the names of the Service are in it already.',
  items: {
    type: 'string',
    minLength: 1,
    maxLength: 253,
    pattern: certificateNamePattern,
    description: 'A lower-case DNS name; the first label may be `*`.',
  },
} as const;

const ipAddresses = {
  type: 'array',
  maxItems: 32,
  'x-kubernetes-list-type': 'set',
  description:
    'More IP addresses for the certificate, such as those of nodes. The addresses of the Service are in it already.',
  items: {
    type: 'string',
    minLength: 2,
    maxLength: 45,
    description: 'An IPv4 or IPv6 address.',
    'x-kubernetes-validations': [
      {
        rule: 'isIP(self)',
        message:
          'not an IP address: write one IPv4 or IPv6 address without brackets, port and prefix length; names belong in dnsNames',
      },
    ],
  },
} as const;

const permittedNames = {
  type: 'array',
  minItems: 1,
  maxItems: 32,
  'x-kubernetes-list-type': 'set',
  description:
    'The names that the certificate authority may sign for (name constraints), so that whoever trusts it trusts it for these alone: DNS names, each with all names below it, and ranges of addresses. The names of the Service are permitted as well; addresses are free where no range is named. A change rotates the authority.',
  items: {
    type: 'string',
    minLength: 1,
    maxLength: 253,
    pattern: permittedNamePattern,
    description: 'A DNS name such as `example.com`, or a range such as `10.0.0.0/8`.',
    'x-kubernetes-validations': [
      {
        rule: "!self.contains('/') || isCIDR(self)",
        message: 'not a range of addresses: write one such as 10.0.0.0/8 or fd00::/8',
      },
    ],
  },
} as const;

const rotation = {
  type: 'object',
  default: {},
  description:
    'How the certificate authority is replaced before it ends, after two years, or when `keyAlgorithm` or `permittedNames` change: the new one is published beside the old one, signs after `overlap`, and the old one leaves the bundle after `grace`.',
  properties: {
    overlap: durationWithDefault(
      '720h',
      'How long clients have to fetch the bundle with the new authority before a certificate needs it; 24h to 4320h.',
    ),
    grace: durationWithDefault(
      '24h',
      'How long the old authority stays in the bundle after the servers have a certificate of the new one; 1h to 4320h.',
    ),
  },
  'x-kubernetes-validations': [
    {
      rule: "!has(self.overlap) || (duration(self.overlap) >= duration('24h') && duration(self.overlap) <= duration('4320h'))",
      message: 'clients have a day to half a year to fetch the bundle: write a duration from 24h to 4320h',
      fieldPath: '.overlap',
    },
    {
      rule: "!has(self.grace) || (duration(self.grace) >= duration('1h') && duration(self.grace) <= duration('4320h'))",
      message: 'the old authority stays for an hour to half a year: write a duration from 1h to 4320h',
      fieldPath: '.grace',
    },
  ],
} as const satisfies ObjectSchema;

const issuerRef = {
  type: 'object',
  required: ['name'],
  description: 'With `CertManager`: the issuer that signs.',
  properties: {
    name: objectName('Its name.'),
    kind: {
      type: 'string',
      minLength: 1,
      maxLength: 63,
      default: 'Issuer',
      description: 'Its kind: `Issuer`, `ClusterIssuer`, or that of an external issuer.',
    },
    group: objectName('The API group of its kind. Without it, `cert-manager.io`.'),
  },
} as const satisfies ObjectSchema;

const clientCAs = {
  type: 'object',
  description:
    'Authorities of client certificates, which clients are asked for then; the common name of a certificate is its user. Certificates in PEM, from either a Secret or a ConfigMap. Changes of them restart nothing.',
  properties: {
    ...eitherObject.properties,
    key: { ...dataKey('The key in its data.'), default: 'ca.crt' },
    required: {
      type: 'boolean',
      default: true,
      description:
        'Whether a client without a certificate is refused in the handshake. Otherwise it may use a password, or what `auth.anonymous` allows.',
    },
  },
  'x-kubernetes-validations': [eitherObject.rule],
} as const satisfies ObjectSchema;

export const tls = {
  type: 'object',
  default: {},
  description: 'The server certificate. Its renewal restarts nothing.',
  properties: {
    mode: {
      type: 'string',
      enum: ['Managed', 'Secret', 'CertManager', 'Disabled'],
      default: 'Managed',
      description:
        '`Managed`: from a certificate authority of its own, whose `ca.crt` clients find in the ConfigMap `NAME-ca`. `Secret`: from `secretRef`. `CertManager`: from the issuer of `issuerRef`. `Disabled`: plain HTTP, passwords included.',
    },
    secretRef: secretRef(
      `With \`Secret\`: a Secret of type \`kubernetes.io/tls\` with the certificate, then its intermediates, under \`tls.crt\`, the key under \`tls.key\`, and perhaps what clients are to trust under \`ca.crt\`. What is wrong in it is told and never served. ${SECRET_LABEL}`,
    ),
    issuerRef,
    authority: {
      type: 'string',
      enum: ['Own', 'Shared'],
      description:
        'With `Managed`: whose certificate authority signs. `Own`: one of this resource alone, as without it. `Shared`: the one in the namespace of the operator, so that clients trust all registries by one `ca.crt`. The namespace must be one that the chart lists (`sharedAuthorityNamespaces`), and names must be those of this resource alone: no wildcards, no addresses but those of its Service, and none that another namespace has. After a change clients need the new bundle at once.',
    },
    caSecretRef: secretRef(
      `With \`Managed\`: an own certificate authority in place of one that is made, under \`tls.crt\`, with its intermediates, and \`tls.key\`. Clients are to trust what is under \`ca.crt\`, or without it the last certificate of \`tls.crt\`. It is not rotated. ${SECRET_LABEL}`,
    ),
    keyAlgorithm: {
      type: 'string',
      enum: ['ECDSA-P256', 'RSA-2048', 'RSA-4096'],
      default: 'ECDSA-P256',
      description:
        'The kind of key of the certificate and of its authority. RSA is for clients that know nothing else. A change rotates the authority.',
    },
    dnsNames,
    ipAddresses,
    permittedNames,
    duration: durationWithDefault(
      '2160h',
      'How long a server certificate is valid, at most a year, and no longer than its certificate authority.',
    ),
    renewBefore: duration(
      'How long before its end a certificate is renewed. Without it, after two thirds of its life.',
    ),
    rotation,
    trustBundleNamespaces: namespaceNames(
      'Namespaces that get what clients are to trust as well, in a ConfigMap `NAMESPACE.NAME-ca` with `ca.crt`.',
    ),
    clientCAs,
  },
  'x-kubernetes-validations': [
    {
      // The API server checks the rules on the default of `tls` too, which is still empty then.
      rule: "!has(self.duration) || (duration(self.duration) >= duration('1h') && duration(self.duration) <= duration('8760h'))",
      message: 'a certificate is valid for an hour to a year: write a duration from 1h to 8760h',
      fieldPath: '.duration',
    },
    {
      rule: "!has(self.renewBefore) || (duration(self.renewBefore) >= duration('5m') && duration(self.renewBefore) < duration(self.duration))",
      message: 'renewBefore must be at least 5m and shorter than duration: make it shorter, or remove it',
      fieldPath: '.renewBefore',
    },
    {
      rule: "!has(self.mode) || self.mode != 'Disabled' || (!has(self.dnsNames) && !has(self.ipAddresses) && !has(self.renewBefore) && !has(self.clientCAs) && !has(self.trustBundleNamespaces))",
      message:
        'without TLS there is no certificate: remove dnsNames, ipAddresses, renewBefore, clientCAs and trustBundleNamespaces, or use mode Managed',
    },
    {
      rule: "!has(self.mode) || has(self.secretRef) == (self.mode == 'Secret')",
      message: 'secretRef is for mode Secret, which needs it: set both or neither',
      fieldPath: '.secretRef',
    },
    {
      rule: "!has(self.mode) || has(self.issuerRef) == (self.mode == 'CertManager')",
      message: 'issuerRef is for mode CertManager, which needs it: set both or neither',
      fieldPath: '.issuerRef',
    },
    {
      rule: "!has(self.mode) || self.mode == 'Managed' || (!has(self.caSecretRef) && !has(self.permittedNames))",
      message:
        'caSecretRef and permittedNames are about the authority of mode Managed: remove them, or use it',
    },
    {
      rule: "!has(self.authority) || !has(self.mode) || self.mode == 'Managed'",
      message: 'authority is about mode Managed: remove it, or use that mode',
      fieldPath: '.authority',
    },
    {
      rule: "!has(self.authority) || self.authority != 'Shared' || (!has(self.caSecretRef) && !has(self.permittedNames))",
      message:
        'a shared authority is the same for everybody: remove caSecretRef and permittedNames, or use authority Own',
      fieldPath: '.authority',
    },
    {
      rule: '!has(self.caSecretRef) || !has(self.permittedNames)',
      message: 'an own authority says itself what it may sign: remove permittedNames',
      fieldPath: '.permittedNames',
    },
    {
      rule: "!has(self.mode) || self.mode != 'Secret' || (!has(self.dnsNames) && !has(self.ipAddresses) && !has(self.renewBefore))",
      message:
        'the certificate of a Secret has its names and times already: remove dnsNames, ipAddresses and renewBefore',
    },
  ],
} as const satisfies ObjectSchema;
