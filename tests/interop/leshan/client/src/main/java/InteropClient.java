// Leshan's LwM2M client behind JSON lines: a request a line on standard input, answers and events on standard output.
// SPDX-License-Identifier: MIT

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.eclipse.californium.scandium.config.DtlsConfig;
import org.eclipse.leshan.client.LeshanClient;
import org.eclipse.leshan.client.LeshanClientBuilder;
import org.eclipse.leshan.client.engine.DefaultRegistrationEngineFactory;
import org.eclipse.leshan.client.object.Security;
import org.eclipse.leshan.client.object.Server;
import org.eclipse.leshan.client.observer.LwM2mClientObserverAdapter;
import org.eclipse.leshan.client.resource.ObjectsInitializer;
import org.eclipse.leshan.client.resource.SimpleInstanceEnabler;
import org.eclipse.leshan.client.send.ManualDataSender;
import org.eclipse.leshan.client.servers.LwM2mServer;
import org.eclipse.leshan.core.ResponseCode;
import org.eclipse.leshan.core.model.ObjectLoader;
import org.eclipse.leshan.core.model.StaticModel;
import org.eclipse.leshan.core.node.LwM2mResource;
import org.eclipse.leshan.core.node.LwM2mSingleResource;
import org.eclipse.leshan.core.request.BootstrapRequest;
import org.eclipse.leshan.core.request.ContentFormat;
import org.eclipse.leshan.core.request.DeregisterRequest;
import org.eclipse.leshan.core.request.RegisterRequest;
import org.eclipse.leshan.core.request.UpdateRequest;
import org.eclipse.leshan.core.request.argument.Arguments;
import org.eclipse.leshan.core.response.ExecuteResponse;
import org.eclipse.leshan.core.response.WriteResponse;
import org.eclipse.leshan.core.util.Hex;
import org.eclipse.leshan.transport.californium.client.endpoint.CaliforniumClientEndpointsProvider;
import org.eclipse.leshan.transport.californium.client.endpoint.coap.CoapClientProtocolProvider;
import org.eclipse.leshan.transport.californium.client.endpoint.coaps.CoapsClientProtocolProvider;

/**
 * Options, each with a value: --endpoint NAME, --uri URI, --lifetime SECONDS, --identity TEXT and --key HEX (PSK),
 * --cert, --private, --server HEX (X.509, DER), --bootstrap true, --queue true.
 *
 * The client has objects 0, 1 and 3; 3/0 keeps what is written. A request is {"id", "op", ...}, its answer {"id", ...} or
 * {"id", "error"}; events are {"event", ...}.
 */
public final class InteropClient {

    private static final ObjectMapper JSON = new ObjectMapper();
    private static final int SHORT_ID = 1;
    private static PrintStream out;

    private final DeviceObject device = new DeviceObject();
    private final LeshanClient client;

    public static void main(String[] args) throws Exception {
        // Only JSON lines may reach standard output, whatever a library prints.
        out = System.out;
        System.setOut(System.err);
        Map<String, String> options = new HashMap<>();
        for (int i = 0; i + 1 < args.length; i += 2) {
            options.put(args[i], args[i + 1]);
        }
        new InteropClient(options).serve();
    }

    /** Device: what is written stays, Execute is told. */
    public static final class DeviceObject extends SimpleInstanceEnabler {

        public DeviceObject() {
            super(0, 0, "Acme", 9, 80L, 14, "+00:00", 15, "UTC", 16, "U");
        }

        @Override
        public List<Integer> getAvailableResourceIds(org.eclipse.leshan.core.model.ObjectModel model) {
            return List.of(0, 4, 9, 14, 15, 16);
        }

        @Override
        public WriteResponse write(LwM2mServer server, boolean replace, int rid, LwM2mResource value) {
            if (rid != 14 && rid != 15) {
                return WriteResponse.methodNotAllowed();
            }
            return super.write(server, replace, rid, value);
        }

        @Override
        public ExecuteResponse execute(LwM2mServer server, int rid, Arguments arguments) {
            say("executed", JSON.createObjectNode().put("rid", rid).put("arguments", arguments.serialize()));
            return ExecuteResponse.success();
        }

        void put(int rid, LwM2mResource value) {
            resources.put(rid, value);
            fireResourceChange(rid);
        }

        LwM2mResource resource(int rid) {
            return resources.get(rid);
        }
    }

    private InteropClient(Map<String, String> options) throws Exception {
        long lifetime = Long.parseLong(options.getOrDefault("--lifetime", "60"));
        ObjectsInitializer objects = new ObjectsInitializer(new StaticModel(ObjectLoader.loadDefault()));
        boolean bootstrap = options.containsKey("--bootstrap");
        objects.setInstancesForObject(0, security(options, bootstrap));
        if (bootstrap) {
            objects.setClassForObject(1, Server.class);
        } else {
            objects.setInstancesForObject(1, new Server(SHORT_ID, lifetime));
        }
        objects.setInstancesForObject(3, device);

        CoapsClientProtocolProvider coaps = new CoapsClientProtocolProvider();
        CaliforniumClientEndpointsProvider.Builder endpoints = new CaliforniumClientEndpointsProvider.Builder(
                new CoapClientProtocolProvider(), coaps);
        var configuration = endpoints.createDefaultConfiguration();
        configuration.set(DtlsConfig.DTLS_RECOMMENDED_CIPHER_SUITES_ONLY, false);
        endpoints.setConfiguration(configuration);
        endpoints.setClientAddress(InetAddress.getByName("127.0.0.1"));

        DefaultRegistrationEngineFactory engine = new DefaultRegistrationEngineFactory();
        engine.setQueueMode(options.containsKey("--queue"));
        engine.setRequestTimeoutInMs(4000);
        engine.setRetryWaitingTimeInMs(60000);

        LeshanClientBuilder builder = new LeshanClientBuilder(options.get("--endpoint"));
        builder.setObjects(bootstrap ? objects.create(0, 1, 3) : objects.createAll());
        builder.setEndpointsProviders(endpoints.build());
        builder.setRegistrationEngineFactory(engine);
        builder.setDataSenders(new ManualDataSender());
        client = builder.build();
        listen();
    }

    private static Security security(Map<String, String> options, boolean bootstrap) {
        String uri = options.get("--uri");
        if (options.containsKey("--key")) {
            byte[] identity = options.get("--identity").getBytes(StandardCharsets.UTF_8);
            byte[] key = Hex.decodeHex(options.get("--key").toCharArray());
            return bootstrap ? Security.pskBootstrap(uri, identity, key) : Security.psk(uri, SHORT_ID, identity, key);
        }
        if (options.containsKey("--cert")) {
            byte[] cert = Hex.decodeHex(options.get("--cert").toCharArray());
            byte[] key = Hex.decodeHex(options.get("--private").toCharArray());
            byte[] server = Hex.decodeHex(options.get("--server").toCharArray());
            return bootstrap ? Security.x509Bootstrap(uri, cert, key, server)
                    : Security.x509(uri, SHORT_ID, cert, key, server);
        }
        return bootstrap ? Security.noSecBootstrap(uri) : Security.noSec(uri, SHORT_ID);
    }

    private void listen() {
        client.addObserver(new LwM2mClientObserverAdapter() {
            @Override
            public void onBootstrapSuccess(LwM2mServer server, BootstrapRequest request) {
                say("bootstrapped", JSON.createObjectNode());
            }

            @Override
            public void onBootstrapFailure(LwM2mServer server, BootstrapRequest request, ResponseCode code,
                    String error, Exception cause) {
                say("bootstrap-failed", JSON.createObjectNode().put("code", String.valueOf(code)).put("error", error));
            }

            @Override
            public void onRegistrationSuccess(LwM2mServer server, RegisterRequest request, String id) {
                say("registered", JSON.createObjectNode().put("location", id));
            }

            @Override
            public void onRegistrationFailure(LwM2mServer server, RegisterRequest request, ResponseCode code,
                    String error, Exception cause) {
                say("refused", JSON.createObjectNode().put("code", String.valueOf(code)).put("error", error));
            }

            @Override
            public void onRegistrationTimeout(LwM2mServer server, RegisterRequest request) {
                say("refused", JSON.createObjectNode().put("code", "timeout"));
            }

            @Override
            public void onUpdateSuccess(LwM2mServer server, UpdateRequest request) {
                say("updated", JSON.createObjectNode());
            }

            @Override
            public void onDeregistrationSuccess(LwM2mServer server, DeregisterRequest request) {
                say("deregistered", JSON.createObjectNode());
            }
        });
    }

    private static void say(String event, ObjectNode message) {
        message.put("event", event);
        print(message);
    }

    private static void print(ObjectNode message) {
        synchronized (JSON) {
            out.println(message);
            out.flush();
        }
    }

    private void serve() throws Exception {
        say("ready", JSON.createObjectNode());
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            JsonNode request = JSON.readTree(line);
            ObjectNode answer = JSON.createObjectNode().put("id", request.get("id").asLong());
            try {
                obey(request, answer);
            } catch (Exception e) {
                e.printStackTrace();
                answer.put("error", e.toString());
            }
            print(answer);
        }
        client.destroy(false);
        System.exit(0);
    }

    private void obey(JsonNode request, ObjectNode answer) throws Exception {
        switch (request.get("op").asText()) {
        case "start":
            client.start();
            break;
        case "stop":
            client.stop(true);
            break;
        case "update":
            client.triggerRegistrationUpdate();
            break;
        case "set":
            int rid = request.get("rid").asInt();
            JsonNode value = request.get("value");
            device.put(rid, value.isTextual() ? LwM2mSingleResource.newStringResource(rid, value.asText())
                    : LwM2mSingleResource.newIntegerResource(rid, value.asLong()));
            break;
        case "get":
            answer.put("value", String.valueOf(device.resource(request.get("rid").asInt()).getValue()));
            break;
        case "send":
            LwM2mServer server = client.getRegisteredServers().values().iterator().next();
            ContentFormat format = ContentFormat.fromName(request.get("format").asText());
            List<String> paths = List.of(request.get("path").asText());
            answer.put("code", String.valueOf(client.getSendService().sendData(server, format, paths, 5000).getCode()));
            break;
        default:
            throw new IllegalArgumentException("no such request");
        }
    }
}
