import type { IncomingMessage } from 'node:http';
import type { Digest } from '../../oci/digest.ts';
import type { RepositoryName } from '../../oci/repository-name.ts';
import { requestedHost } from './request-target.ts';

/** Makes the paths of the API, and URLs for Location headers. */
export interface Links {
  /** In front of every path: empty or `/registry`. */
  readonly prefix: string;
  blob(repository: RepositoryName, digest: Digest): string;
  manifest(repository: RepositoryName, digest: Digest): string;
  upload(repository: RepositoryName, id: string): string;
  /** The path as the client must call it: absolute, unless `relativeurls` is set or the request names no host. */
  location(request: IncomingMessage, path: string): string;
  /** As `location`, but absolute also with `relativeurls`: a realm must be. */
  absolute(request: IncomingMessage, path: string): string;
}

/** @param options.host the public URL; without it the URL that the request came to, proxies in front included. */
export function createLinks(options: {
  readonly prefix: string;
  readonly host: string | undefined;
  readonly relative: boolean;
  readonly tls: boolean;
}): Links {
  const prefix = options.prefix === '/' ? '' : options.prefix;
  // As it may stand in a header: ASCII, and no line ends.
  const base = options.host && new URL(options.host).href.replace(/\/+$/, '');
  const scheme = options.tls ? 'https' : 'http';
  const absolute = (request: IncomingMessage, path: string): string =>
    `${base ?? requestBase(request, scheme)}${path}`;
  return {
    prefix,
    blob: (repository, digest) => `${prefix}/v2/${repository}/blobs/${digest}`,
    manifest: (repository, digest) => `${prefix}/v2/${repository}/manifests/${digest}`,
    upload: (repository, id) => `${prefix}/v2/${repository}/blobs/uploads/${id}`,
    location: (request, path) => (options.relative ? path : absolute(request, path)),
    absolute,
  };
}

/** RFC 7239 and the older X-Forwarded-… that it replaces. The first value is the one nearest the client. */
function requestBase(request: IncomingMessage, scheme: string): string {
  const { headers } = request;
  const forwarded = first(headers['forwarded']);
  const proto = parameter(forwarded, 'proto') ?? first(headers['x-forwarded-proto']) ?? scheme;
  const host = parameter(forwarded, 'host') ?? first(headers['x-forwarded-host']) ?? requestedHost(request);
  // Whatever a client sends ends up in its own Location header only, but must not break it.
  if (host === undefined || !/^[A-Za-z0-9._~\-:[\]]+$/.test(host) || !/^https?$/i.test(proto)) return '';
  return `${proto.toLowerCase()}://${host}`;
}

function first(header: string | string[] | undefined): string | undefined {
  const text = Array.isArray(header) ? header[0] : header;
  return text?.split(',', 1)[0]?.trim() || undefined;
}

function parameter(element: string | undefined, name: string): string | undefined {
  if (element === undefined) return undefined;
  const match = new RegExp(`(?:^|;)\\s*${name}=(?:"([^"]*)"|([^;\\s"]*))`, 'i').exec(element);
  return match?.[1] ?? match?.[2];
}
