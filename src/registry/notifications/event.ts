import type { Digest } from '../../oci/digest.ts';
import type { RepositoryName } from '../../oci/repository-name.ts';
import { references, type Reference } from './references.ts';

/** Content-Type of a request with an event. */
export const EVENTS_MEDIA_TYPE = 'application/vnd.docker.distribution.events.v2+json';

/** What a request did, as the handlers tell it. */
export type Happening =
  | {
      readonly action: 'push' | 'pull';
      readonly repository: RepositoryName;
      readonly manifest: { readonly digest: Digest; readonly mediaType: string; readonly bytes: Buffer };
      /** When the request named one. */
      readonly tag?: string;
    }
  | {
      readonly action: 'push' | 'pull' | 'mount';
      readonly repository: RepositoryName;
      readonly blob: { readonly digest: Digest; readonly size: number };
      /** Of a mount. */
      readonly fromRepository?: RepositoryName;
    }
  /** A manifest, a blob, or a tag alone. */
  | {
      readonly action: 'delete';
      readonly repository: RepositoryName;
      readonly digest?: Digest;
      readonly tag?: string;
    };

/** Who did it, how, and where. */
export interface EventContext {
  readonly id: string;
  /** Milliseconds since the epoch. */
  readonly time: number;
  /** Of the manifest or blob; nothing for a delete. */
  readonly url: string | undefined;
  readonly includeReferences: boolean;
  readonly request: {
    readonly id: string;
    readonly addr: string | undefined;
    readonly host: string | undefined;
    readonly method: string;
    readonly useragent: string;
  };
  readonly user: string | undefined;
  readonly source: { readonly addr: string; readonly instanceID: string };
}

/** An event, its fields in the order in which distribution 3 writes them. What is undefined is not written. */
interface Event {
  readonly id: string;
  readonly timestamp: string;
  readonly action: string;
  readonly target: Target;
  readonly request: EventContext['request'];
  readonly actor: { readonly name: string | undefined };
  readonly source: EventContext['source'];
}

interface Target {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly length: number | undefined;
  readonly repository: string;
  readonly fromRepository: string | undefined;
  readonly url: string | undefined;
  readonly tag: string | undefined;
  readonly references: readonly Reference[] | undefined;
}

/** The media type by which an endpoint may leave the event out. */
export function mediaTypeOf(happening: Happening): string {
  if ('manifest' in happening) return happening.manifest.mediaType;
  return 'blob' in happening ? 'application/octet-stream' : '';
}

/** The event as one line of JSON, which `envelope` takes. */
export function eventLine(happening: Happening, context: EventContext): string {
  const event: Event = {
    id: context.id,
    timestamp: timestamp(context.time),
    action: happening.action,
    target: targetOf(happening, context),
    request: {
      ...context.request,
      addr: context.request.addr || undefined,
      host: context.request.host || undefined,
    },
    actor: { name: context.user || undefined },
    source: context.source,
  };
  return JSON.stringify(event);
}

/** The body of a request: what Go's encoding/json makes of distribution's structs, byte for byte. */
export function envelope(line: string): string {
  const events: unknown[] = [JSON.parse(line)];
  return JSON.stringify({ events }, null, 3).replaceAll(
    /[<>&\u2028\u2029]/g,
    (character) => String.raw`\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function targetOf(happening: Happening, { url, includeReferences }: EventContext): Target {
  const size =
    'manifest' in happening ? happening.manifest.bytes.length : 'blob' in happening ? happening.blob.size : 0;
  const digest =
    'manifest' in happening
      ? happening.manifest.digest
      : 'blob' in happening
        ? happening.blob.digest
        : happening.digest;
  const listed = 'manifest' in happening && includeReferences ? references(happening.manifest.bytes) : [];
  return {
    mediaType: mediaTypeOf(happening),
    digest: digest ?? '',
    size,
    length: size || undefined,
    repository: happening.repository,
    fromRepository: 'fromRepository' in happening ? happening.fromRepository : undefined,
    url,
    tag: 'tag' in happening ? happening.tag : undefined,
    references: listed.length > 0 ? listed : undefined,
  };
}

/** RFC 3339 as Go writes it: without zeros at the end of the fraction. */
function timestamp(time: number): string {
  return new Date(time).toISOString().replace(/\.?0*Z$/, 'Z');
}
