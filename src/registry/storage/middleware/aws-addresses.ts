import { BlockList, isIP } from 'node:net';
import type { Clock } from '../../../process/clock.ts';
import type { Logger } from '../../../process/logger.ts';

export interface AwsAddressesOptions {
  readonly url: string;
  /** Milliseconds. */
  readonly updateFrequency: number;
  /** Of these regions, in any case; all without. */
  readonly regions: readonly string[];
  /** The document at a URL. */
  readonly load: (url: string) => Promise<string>;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Knows which addresses are in AWS, by the list that Amazon publishes. Until it could be loaded none is. */
export class AwsAddresses {
  readonly #options: AwsAddressesOptions;
  readonly #stopping = new AbortController();
  #networks = new BlockList();
  readonly #updates: Promise<void>;

  private constructor(options: AwsAddressesOptions) {
    this.#options = options;
    this.#updates = this.#followUpdates();
  }

  /** Waits for the first list, or for its failure. */
  static async open(options: AwsAddressesOptions): Promise<AwsAddresses> {
    const addresses = new AwsAddresses(options);
    await addresses.#update();
    return addresses;
  }

  has(address: string | undefined): boolean {
    const family = isIP(address ?? '');
    if (address === undefined || family === 0) return false;
    return this.#networks.check(address, family === 4 ? 'ipv4' : 'ipv6');
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#updates;
  }

  async #followUpdates(): Promise<void> {
    const { clock, updateFrequency } = this.#options;
    const { signal } = this.#stopping;
    for (;;) {
      await clock.sleep(updateFrequency, signal).catch(() => undefined);
      if (signal.aborted) return;
      await this.#update();
    }
  }

  async #update(): Promise<void> {
    const { load, url, log } = this.#options;
    try {
      this.#networks = this.#parse(await load(url));
    } catch (error) {
      log.warn({ url, error }, 'the addresses of AWS could not be loaded');
    }
  }

  #parse(text: string): BlockList {
    // As https://docs.aws.amazon.com/vpc/latest/userguide/aws-ip-syntax.html has it; what is not there is left out.
    const document = JSON.parse(text) as {
      readonly prefixes?: readonly { readonly ip_prefix: string; readonly region: string }[];
      readonly ipv6_prefixes?: readonly { readonly ipv6_prefix: string; readonly region: string }[];
    };
    const wanted = new Set(this.#options.regions.map((region) => region.toLowerCase()));
    const networks = new BlockList();
    const add = (prefix: string, region: string, family: 'ipv4' | 'ipv6'): void => {
      const [network = '', bits] = prefix.split('/');
      if (wanted.size === 0 || wanted.has(region.toLowerCase()))
        networks.addSubnet(network, Number(bits), family);
    };
    for (const { ip_prefix, region } of document.prefixes ?? []) add(ip_prefix, region, 'ipv4');
    for (const { ipv6_prefix, region } of document.ipv6_prefixes ?? []) add(ipv6_prefix, region, 'ipv6');
    return networks;
  }
}
