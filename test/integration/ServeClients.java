// ClickHouse's JDBC driver against `pgch serve`: java -cp … ServeClients.java PORT [USER PASSWORD].
import java.math.BigDecimal;
import java.sql.*;
import java.util.Properties;

public class ServeClients {
  static void equal(Object got, Object expected) {
    if (!expected.equals(got)) throw new AssertionError("got " + got + ", expected " + expected);
  }

  public static void main(String[] a) throws Exception {
    Class.forName("com.clickhouse.jdbc.Driver");
    Properties p = new Properties();
    p.setProperty("user", a.length > 1 ? a[1] : "default");
    p.setProperty("password", a.length > 2 ? a[2] : "");
    String url = "jdbc:clickhouse://127.0.0.1:" + a[0] + "/default";
    for (String compress : new String[] {"true", "false"}) {
      p.setProperty("compress", compress);
      try (Connection c = DriverManager.getConnection(url, p); Statement s = c.createStatement()) {
        s.execute("DROP TABLE IF EXISTS jdbc");
        s.execute("CREATE TABLE jdbc (id UInt64, name String, price Decimal(18, 4), at DateTime64(3, 'UTC'), n Nullable(Int32)) "
            + "ENGINE = MergeTree ORDER BY id");
        try (PreparedStatement i = c.prepareStatement("INSERT INTO jdbc (id, name, price, n) VALUES (?, ?, ?, ?)")) {
          for (int k = 0; k < 2000; ++k) {
            i.setLong(1, k);
            i.setString(2, "it's \\ näme " + k);
            i.setBigDecimal(3, new BigDecimal("1.2500"));
            if (k % 2 == 0) i.setInt(4, -k); else i.setNull(4, Types.INTEGER);
            i.addBatch();
          }
          i.executeBatch();
        }
        try (ResultSet r = s.executeQuery("SELECT count(), sum(id), countIf(n IS NULL) FROM jdbc")) {
          r.next();
          equal(r.getLong(1), 2000L);
          equal(r.getLong(2), 1999000L);
          equal(r.getLong(3), 1000L);
        }
        try (PreparedStatement q = c.prepareStatement("SELECT name, price, n FROM jdbc WHERE id = ?")) {
          q.setLong(1, 1998);
          try (ResultSet r = q.executeQuery()) {
            r.next();
            equal(r.getString(1), "it's \\ näme 1998");
            equal(r.getBigDecimal(2).compareTo(new BigDecimal("1.25")), 0);
            equal(r.getInt(3), -1998);
          }
        }
        try (ResultSet r = s.executeQuery("SELECT number FROM numbers(300000)")) {
          long rows = 0;
          while (r.next()) equal(r.getLong(1), rows++);
          equal(rows, 300000L);
        }
        try {
          s.executeQuery("SELECT * FROM no_such_table");
          throw new AssertionError("no error for a missing table");
        } catch (SQLException e) {
          equal(e.getMessage().contains("no_such_table"), true);
        }
        try (ResultSet r = c.getMetaData().getTables(null, "default", "jdbc", null)) {
          equal(r.next(), true);
        }
        s.execute("DROP TABLE jdbc");
      }
    }
    System.out.println("jdbc: ok");
  }
}
