import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Clock } from '../../process/clock.ts';
import { parseBasicCredentials } from '../auth/basic-credentials.ts';
import type { Exchange } from '../http/exchange.ts';
import type { Links } from '../http/links.ts';
import { remoteAddress } from '../http/remote-address.ts';
import { eventLine, mediaTypeOf, type EventContext, type Happening } from './event.ts';
import type { EventSink } from './event-sink.ts';

/** An event that is ready to be sent: all that the process which delivers it needs, in plain words. */
export interface RecordedEvent {
  readonly action: Happening['action'];
  readonly mediaType: string;
  /** For `envelope`. */
  readonly line: string;
}

export interface EventRecorderDependencies {
  readonly includeReferences: boolean;
  readonly source: EventContext['source'];
  readonly links: Links;
  readonly clock: Clock;
  /** Keeps an event: it must be safe when this returns. Never throws. */
  readonly take: (event: RecordedEvent) => void;
}

/** Makes an event of what a request did. */
export class EventRecorder implements EventSink {
  readonly #deps: EventRecorderDependencies;

  constructor(deps: EventRecorderDependencies) {
    this.#deps = deps;
  }

  record(exchange: Exchange, happening: Happening): void {
    const line = eventLine(happening, this.#context(exchange, happening));
    this.#deps.take({ action: happening.action, mediaType: mediaTypeOf(happening), line });
  }

  #context(exchange: Exchange, happening: Happening): EventContext {
    const { clock, includeReferences, source } = this.#deps;
    const { request } = exchange;
    const { headers } = request;
    const credentials = parseBasicCredentials(headers.authorization);
    return {
      id: randomUUID(),
      time: clock.now(),
      url: this.#url(request, happening),
      includeReferences,
      request: {
        id: exchange.requestId,
        addr: remoteAddress(request),
        host: headers.host ?? headers[':authority']?.toString(),
        method: request.method ?? '',
        useragent: headers['user-agent'] ?? '',
      },
      user: exchange.user ?? (typeof credentials === 'object' ? credentials.user : undefined),
      source,
    };
  }

  #url(request: IncomingMessage, happening: Happening): string | undefined {
    const { links } = this.#deps;
    if (happening.action === 'delete') return undefined;
    const path =
      'manifest' in happening
        ? links.manifest(happening.repository, happening.manifest.digest)
        : links.blob(happening.repository, happening.blob.digest);
    return links.location(request, path);
  }
}
