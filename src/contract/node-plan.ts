import { createHash, X509Certificate } from 'node:crypto';

/**
 * What the operator wants on the nodes: one document for all of them, in the Secret NODE_PLAN_SECRET of the operator's
 * namespace, which the node agents have as a volume. Each agent does what is for its own node.
 */
export interface NodePlan {
  readonly entries: readonly NodePlanEntry[];
}

/** What one resource wants. Of two entries that want the same host on a node, the one that comes first has it. */
export interface NodePlanEntry {
  /** The uid of the resource. Files on a node carry it. */
  readonly id: NodePlanId;
  /** For people: which resource it is. */
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  /** Names of nodes. */
  readonly nodes: 'all' | readonly string[];
  readonly runtimes: readonly NodeRuntime[];
  /** Registries that are to be pulled through a mirror. */
  readonly hosts: readonly MirroredHost[];
  /** What the certificates of the mirrors' endpoints are verified with, PEM; absent: what the node trusts anyway. */
  readonly ca?: string;
  /** Registries whose certificates the node is to trust. */
  readonly trust: readonly TrustedHost[];
}

export interface MirroredHost {
  /** As images name it, such as `docker.io`. */
  readonly host: RegistryHost;
  /** Where the registry itself is, where that is not `https://` and its name. */
  readonly server?: OriginUrl;
  /** Where the mirror is, by an address that the node reaches: it does not know the names of the cluster. */
  readonly endpoint: OriginUrl;
  /** What the mirror is asked for. Without `resolve` tags come from the registry itself. */
  readonly capabilities: readonly MirrorCapability[];
  /** Sent with each request to the mirror: the one way to give it credentials. */
  readonly header?: Readonly<Record<string, string>>;
}

export interface TrustedHost {
  readonly host: RegistryHost;
  /** PEM. */
  readonly ca: string;
}

export type NodePlanId = string & { readonly __brand: 'NodePlanId' };
/** `host` or `host:port` in lower case. It becomes the name of a folder, so it is never anything else. */
export type RegistryHost = string & { readonly __brand: 'RegistryHost' };
/** `https://host:port` or `http://host:port`, and nothing behind it. */
export type OriginUrl = string & { readonly __brand: 'OriginUrl' };

export const NODE_RUNTIMES = ['Containerd', 'Docker'] as const;
export type NodeRuntime = (typeof NODE_RUNTIMES)[number];

const MIRROR_CAPABILITIES = ['pull', 'resolve', 'referrers'] as const;
type MirrorCapability = (typeof MIRROR_CAPABILITIES)[number];

/** In the operator's namespace. */
export const NODE_PLAN_SECRET = 'stevedore-node-plan';
/** Of that Secret. */
export const NODE_PLAN_KEY = 'plan.json';

/** The same plan is the same text. */
export function printNodePlan(plan: NodePlan): string {
  return `${JSON.stringify(plan)}\n`;
}

/** By which operator and agents know whether they speak of the same plan: SHA-256 of its text, in hex. */
export function nodePlanHash(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/**
 * Reads a plan. Fields that are not known are ignored: operator and agents are not of one version while they are upgraded.
 * @throws Error that names the place of what is wrong; nothing of such a plan may be followed
 */
export function parseNodePlan(text: string): NodePlan {
  const entries = listOf(objectAt(JSON.parse(text), 'plan')['entries'], 'entries');
  return { entries: entries.map((entry, index) => parseEntry(entry, `entries.${index}`)) };
}

/** @returns undefined for what is no name of a registry. */
export function parseRegistryHost(text: string): RegistryHost | undefined {
  const match = /^(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::(?<port>\d{1,5}))?$/.exec(text);
  const isHost = match !== null && text.length <= 253 && Number(match.groups?.['port'] ?? 1) <= 65_535;
  return isHost && !text.includes('..') ? (text as RegistryHost) : undefined;
}

/** @returns undefined for what is no URL, or has more than scheme, host and port. */
export function parseOriginUrl(text: string): OriginUrl | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isOrigin = url !== undefined && /^https?:$/.test(url.protocol) && url.href === `${url.origin}/`;
  return isOrigin && !text.endsWith('/') ? (text as OriginUrl) : undefined;
}

/** @returns undefined for what is no uid. */
export function parseNodePlanId(text: string): NodePlanId | undefined {
  return /^[A-Za-z0-9-]{1,64}$/.test(text) ? (text as NodePlanId) : undefined;
}

/** Runtimes fail every pull where such a file holds no certificate, or one that can't be read. */
export function isCertificateBundle(pem: string): boolean {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return blocks.length > 0 && blocks.every(isCertificate);
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).serialNumber !== '';
  } catch {
    return false;
  }
}

function parseEntry(value: unknown, path: string): NodePlanEntry {
  const entry = objectAt(value, path);
  const { nodes, ca } = entry;
  return {
    id: parsedAt(parseNodePlanId, entry['id'], `${path}.id`),
    kind: nameAt(entry['kind'], `${path}.kind`),
    namespace: nameAt(entry['namespace'], `${path}.namespace`),
    name: nameAt(entry['name'], `${path}.name`),
    nodes:
      nodes === 'all'
        ? nodes
        : listOf(nodes, `${path}.nodes`).map((node, index) => nameAt(node, `${path}.nodes.${index}`)),
    runtimes: wordsAt(NODE_RUNTIMES, entry['runtimes'], `${path}.runtimes`),
    hosts: listOf(entry['hosts'], `${path}.hosts`).map((host, index) =>
      parseMirroredHost(host, `${path}.hosts.${index}`),
    ),
    ...(ca !== undefined && { ca: bundleAt(ca, `${path}.ca`) }),
    trust: listOf(entry['trust'], `${path}.trust`).map((trusted, index) =>
      parseTrustedHost(trusted, `${path}.trust.${index}`),
    ),
  };
}

function parseMirroredHost(value: unknown, path: string): MirroredHost {
  const { host, server, endpoint, capabilities, header } = objectAt(value, path);
  return {
    host: parsedAt(parseRegistryHost, host, `${path}.host`),
    ...(server !== undefined && { server: parsedAt(parseOriginUrl, server, `${path}.server`) }),
    endpoint: parsedAt(parseOriginUrl, endpoint, `${path}.endpoint`),
    capabilities: wordsAt(MIRROR_CAPABILITIES, capabilities, `${path}.capabilities`),
    ...(header !== undefined && { header: headerAt(header, `${path}.header`) }),
  };
}

function parseTrustedHost(value: unknown, path: string): TrustedHost {
  const { host, ca } = objectAt(value, path);
  return {
    host: parsedAt(parseRegistryHost, host, `${path}.host`),
    ca: bundleAt(ca, `${path}.ca`),
  };
}

function objectAt(value: unknown, path: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error(`${path} is no object`);
  return { ...value };
}

function listOf(value: unknown, path: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new Error(`${path} is no list`);
  return value;
}

function textAt(value: unknown, path: string): string {
  if (typeof value !== 'string') throw new Error(`${path} is no text`);
  return value;
}

/** What Kubernetes takes for names, in either case, since kinds are among them. It is written into files. */
function nameAt(value: unknown, path: string): string {
  const text = textAt(value, path);
  if (!/^[A-Za-z0-9.-]{1,253}$/.test(text)) throw new Error(`${path} is no name`);
  return text;
}

function parsedAt<T>(parse: (text: string) => T | undefined, value: unknown, path: string): T {
  const parsed = parse(textAt(value, path));
  if (parsed === undefined) throw new Error(`${path} can't be ${JSON.stringify(value)}`);
  return parsed;
}

function wordsAt<Word extends string>(known: readonly Word[], value: unknown, path: string): readonly Word[] {
  return listOf(value, path).map((word, index) =>
    parsedAt((text) => known.find((one) => one === text), word, `${path}.${index}`),
  );
}

function bundleAt(value: unknown, path: string): string {
  const text = textAt(value, path);
  if (!isCertificateBundle(text)) throw new Error(`${path} holds something else than certificates in PEM`);
  return text;
}

/** The values may be secrets, so that no message has them. RFC 9110 §5.1, §5.5. */
function headerAt(value: unknown, path: string): Readonly<Record<string, string>> {
  const header: Record<string, string> = {};
  for (const [name, field] of Object.entries(objectAt(value, path))) {
    const text = textAt(field, `${path}.${name}`);
    if (!/^[A-Za-z0-9!#$%&'*+.^_|~-]+$/.test(name))
      throw new Error(`${path} has a name that is no name of a header`);
    if (!/^[\x20-\x7e]*$/.test(text)) throw new Error(`${path}.${name} can't be sent in a header`);
    header[name] = text;
  }
  return header;
}
