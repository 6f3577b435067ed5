import type { UpstreamSettings } from '../contract/config/mirror-settings.ts';
import type { Upstream } from './upstream.ts';

/** An upstream with what the configuration says of it. */
export interface MirroredRegistry extends Pick<
  UpstreamSettings,
  'host' | 'names' | 'folder' | 'tagFreshness' | 'staleIfError'
> {
  readonly upstream: Upstream;
  /** Whether the mirror may fetch it. */
  allows(repository: string): boolean;
}
