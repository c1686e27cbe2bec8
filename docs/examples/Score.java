import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;

/** One score with the JDK's own client. Needs SCORER (address), SCORER_KEY and BODY (a file with the request). */
public final class Score {
    private static final int ATTEMPTS = 5;

    public static void main(String[] arguments) throws Exception {
        // HTTP/1.1 is what the service speaks; without this the client first tries to upgrade.
        HttpClient client = HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1)
            .connectTimeout(Duration.ofSeconds(2))
            .build();
        HttpRequest request = HttpRequest.newBuilder(URI.create(System.getenv("SCORER") + "/v1/score"))
            .timeout(Duration.ofSeconds(10))
            .header("Authorization", "Bearer " + System.getenv("SCORER_KEY"))
            .header("Content-Type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString(Files.readString(Path.of(System.getenv("BODY")))))
            .build();
        System.out.println(send(client, request));
    }

    /** Sends again after 429, 503 and a lost connection: the request_id in the body makes the answer the same. */
    private static String send(HttpClient client, HttpRequest request) throws IOException, InterruptedException {
        for (int attempt = 1; ; attempt++) {
            long pauseMillis = 100L << attempt;
            try {
                HttpResponse<String> response = client.send(request, HttpResponse.BodyHandlers.ofString());
                int status = response.statusCode();
                if (status == 200) {
                    return response.body();
                }
                if ((status != 429 && status != 503) || attempt == ATTEMPTS) {
                    throw new IllegalStateException(status + " " + response.body());
                }
                pauseMillis = 1000L * response.headers().firstValueAsLong("Retry-After").orElse(1);
            } catch (IOException error) {
                if (attempt == ATTEMPTS) {
                    throw error;
                }
            }
            Thread.sleep(pauseMillis);
        }
    }
}
