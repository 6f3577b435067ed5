import { API_VERSION } from '../../src/api/names.ts';
import type { Manifest, Refusal } from './refusals.ts';

function registry(spec: object): Manifest {
  return {
    apiVersion: API_VERSION,
    kind: 'Registry',
    metadata: { name: 'refused' },
    spec: { storage: { filesystem: { size: '1Gi' } }, ...spec },
  };
}

const htpasswd = (fields: object) => registry({ auth: { htpasswd: fields } });
const users = (...list: readonly object[]) => htpasswd({ users: list });
const access = (rule: object) =>
  registry({ auth: { htpasswd: {}, access: [{ repositories: ['**'], actions: ['Pull'], ...rule }] } });
const token = (fields: object) =>
  registry({ auth: { token: { realm: 'https://auth.example.com', service: 'r', issuer: 'i', ...fields } } });
const jwks = { configMapName: 'keys', key: 'jwks.json' };
const tls = (fields: object) => registry({ tls: fields });

/** Mistakes in certificates, users and rules. */
export const securityRefusals: readonly Refusal[] = [
  {
    title: 'Trust of nodes in a registry whose name they cannot find is refused.',
    manifest: registry({ nodeTrust: { enabled: true } }),
    message: 'nodes do not know the names of Services: set hostname to the name that images have',
  },
  {
    title: 'Trust of nodes in a registry without TLS is refused.',
    manifest: registry({
      nodeTrust: { enabled: true },
      hostname: 'images.example.com',
      tls: { mode: 'Disabled' },
    }),
    message: 'without TLS there is nothing to trust: remove nodeTrust, or use another tls.mode',
  },
  {
    title: 'A user without a password is refused.',
    manifest: users({ name: 'alice' }),
    message: 'a user has one password: set either passwordSecretRef or generate: true',
  },
  {
    title: 'A user with a password of its own and a generated one is refused.',
    manifest: users({ name: 'alice', generate: true, passwordSecretRef: { name: 'alice' } }),
    message: 'a user has one password: set either passwordSecretRef or generate: true',
  },
  {
    title: 'A group with a blank in its name is refused.',
    manifest: users({ name: 'alice', generate: true, groups: ['team one'] }),
    message: "not the name of a group: use letters, digits, '-', '_' and '.'",
  },
  {
    title: 'A selector that would find every Secret is refused.',
    manifest: htpasswd({ selector: { matchLabels: {} } }),
    message: 'without labels every Secret for credentials would be a list of users',
  },
  {
    title: 'Authentication of no kind is refused.',
    manifest: registry({ auth: {} }),
    message: 'auth does not say how users log in: set htpasswd, token or tls.clientCAs',
  },
  {
    title: 'An authority of a certificate from elsewhere is refused.',
    manifest: tls({ mode: 'Secret', secretRef: { name: 'cert' }, authority: 'Shared' }),
    message: 'authority is about mode Managed: remove it, or use that mode',
  },
  {
    title: 'A shared authority that is to be the own one as well is refused.',
    manifest: tls({ authority: 'Shared', caSecretRef: { name: 'ca' } }),
    message: 'a shared authority is the same for everybody: remove caSecretRef and permittedNames',
  },
  {
    title: 'A shared authority with names of its own is refused.',
    manifest: tls({ authority: 'Shared', permittedNames: ['example.com'] }),
    message: 'a shared authority is the same for everybody: remove caSecretRef and permittedNames',
  },
  {
    title: 'Passwords beside tokens are refused.',
    manifest: registry({
      auth: { htpasswd: {}, token: { realm: 'https://a.example.com', service: 'r', issuer: 'i', jwks } },
    }),
    message: 'users have passwords or tokens, not both: remove htpasswd or token',
  },
  {
    title: 'Rules beside tokens are refused.',
    manifest: registry({
      auth: {
        token: { realm: 'https://a.example.com', service: 'r', issuer: 'i', jwks },
        access: [{ repositories: ['**'], actions: ['Pull'] }],
      },
    }),
    message: 'with token the issuer of tokens decides who may do what: remove access and anonymous',
  },
  {
    title: 'Tokens of which nobody knows the keys are refused.',
    manifest: token({}),
    message: 'nothing says whose tokens are good: set rootCertBundle or jwks',
  },
  {
    title: 'Keys from two places are refused.',
    manifest: token({ jwks: { ...jwks, secretName: 'keys' } }),
    message: 'set either secretName or configMapName',
  },
  {
    title: 'A realm with a password in it is refused.',
    manifest: token({ realm: 'https://me:secret@auth.example.com', jwks }),
    message: 'not a URL: write one with http:// or https://',
  },
  {
    title: 'Tokens beside client certificates are refused.',
    manifest: registry({
      tls: { clientCAs: { configMapName: 'clients' } },
      auth: { token: { realm: 'https://a.example.com', service: 'r', issuer: 'i', jwks } },
    }),
    message: 'users have tokens or certificates, not both: remove auth.token or tls.clientCAs',
  },
  {
    title: 'A rule for repositories that cannot be is refused.',
    manifest: access({ repositories: ['Team/**'] }),
    message: 'not a pattern of repositories: write lower-case names',
  },
  {
    title: 'An action that is not known is refused.',
    manifest: access({ actions: ['Write'] }),
    message: 'supported values: "Pull", "Push", "Delete", "List"',
  },
  {
    title: 'A mode of TLS that is not known is refused.',
    manifest: tls({ mode: 'Off' }),
    message: 'supported values: "Managed", "Secret", "CertManager", "Disabled"',
  },
  {
    title: 'Names and authorities of clients that TLS Disabled never uses are refused.',
    manifest: tls({ mode: 'Disabled', clientCAs: { configMapName: 'clients' } }),
    message: 'without TLS there is no certificate: remove dnsNames, ipAddresses, renewBefore, clientCAs',
  },
  {
    title: 'A certificate of a Secret that is not named is refused.',
    manifest: tls({ mode: 'Secret' }),
    message: 'secretRef is for mode Secret, which needs it: set both or neither',
  },
  {
    title: 'Names for a certificate that is in a Secret already are refused.',
    manifest: tls({ mode: 'Secret', secretRef: { name: 'mine' }, dnsNames: ['registry.example.com'] }),
    message: 'the certificate of a Secret has its names and times already',
  },
  {
    title: 'An issuer without cert-manager is refused.',
    manifest: tls({ issuerRef: { name: 'corporate' } }),
    message: 'issuerRef is for mode CertManager, which needs it: set both or neither',
  },
  {
    title: 'An own authority for a certificate that cert-manager issues is refused.',
    manifest: tls({
      mode: 'CertManager',
      issuerRef: { name: 'corporate' },
      caSecretRef: { name: 'corporate' },
    }),
    message: 'caSecretRef and permittedNames are about the authority of mode Managed',
  },
  {
    title: 'Names that an own authority shall permit are refused.',
    manifest: tls({ caSecretRef: { name: 'corporate' }, permittedNames: ['example.com'] }),
    message: 'an own authority says itself what it may sign: remove permittedNames',
  },
  {
    title: 'A wildcard among the permitted names is refused.',
    manifest: tls({ permittedNames: ['*.example.com'] }),
    message: 'not a name to permit: write a lower-case DNS name without *',
  },
  {
    title: 'A permitted range with too long a prefix is refused.',
    manifest: tls({ permittedNames: ['10.0.0.0/33'] }),
    message: 'not a range of addresses: write one such as 10.0.0.0/8 or fd00::/8',
  },
  {
    title: 'A pull secret without passwords is refused.',
    manifest: registry({ pullSecrets: [{ user: 'ci', namespaces: ['apps'] }] }),
    message: 'a pull secret holds the password of a user: set auth.htpasswd, or remove pullSecrets',
  },
  {
    title: 'A namespace with a dot is refused.',
    manifest: tls({ trustBundleNamespaces: ['apps.one'] }),
    message: "not the name of a namespace: use lower-case letters, digits and '-'",
  },
  {
    title: 'A rotation that leaves clients an hour is refused.',
    manifest: tls({ rotation: { overlap: '1h' } }),
    message: 'clients have a day to half a year to fetch the bundle: write a duration from 24h to 4320h',
  },
  {
    title: 'A rotation that drops the old authority at once is refused.',
    manifest: tls({ rotation: { grace: '0s' } }),
    message: 'the old authority stays for an hour to half a year: write a duration from 1h to 4320h',
  },
];
